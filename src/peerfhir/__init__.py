"""PeerFHIR carries a clinician's referral to a peer, and the peer's work back into the chart.

A referral arrives at the gateway and is kept by the inbox before it is answered.
The pathway decides what happens next; records keep it, with its FHIR form, in one commit.
Adapters say it in FHIR through mappings; the outbox owes it to the hospital until it has arrived.
Consent is asked when something is written and again just before it leaves.
"""
