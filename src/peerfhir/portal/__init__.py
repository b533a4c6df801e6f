"""Pages for people: peers, coordinators, and the person served."""
