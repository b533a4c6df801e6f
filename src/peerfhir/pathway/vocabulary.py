"""The words of peer support: referral states, modalities, share classes, reasons."""

from __future__ import annotations

from enum import StrEnum


class TaskStatus(StrEnum):
    """The coarse state of a referral (R4 Task.status, as SDOHCC 3.0 allows it)."""

    DRAFT = "draft"
    REQUESTED = "requested"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    ENTERED_IN_ERROR = "entered-in-error"


class Status(StrEnum):
    """The fine state of a referral: CodeSystem peer-referral-status."""

    SENT = "sent"
    RECEIVED = "received"
    TRIAGE = "triage"
    INFO_NEEDED = "info-needed"
    WAITLISTED = "waitlisted"
    MATCHING = "matching"
    MATCH_PROPOSED = "match-proposed"
    ASSIGNED = "assigned"
    OUTREACH = "outreach"
    CONTACT_MADE = "contact-made"
    INTRO_SCHEDULED = "intro-scheduled"
    INTRO_MISSED = "intro-missed"
    INTRO_CANCELLED = "intro-cancelled"
    INTRO_DONE = "intro-done"
    DECIDING = "deciding"
    ENROLLED = "enrolled"
    PAUSED = "paused"
    REDIRECTED = "redirected"
    DECLINED_PROGRAM = "declined-program"
    DECLINED_PERSON = "declined-person"
    UNABLE_TO_CONTACT = "unable-to-contact"
    WITHDRAWN_REFERRER = "withdrawn-referrer"
    WITHDRAWN_PERSON = "withdrawn-person"
    TRANSFERRED = "transferred-higher-care"
    ENTERED_IN_ERROR = "entered-in-error"
    # outward forms only: what others are told, never what is kept
    IN_CONTACT = "in-contact"
    CLOSED = "closed"


class Role(StrEnum):
    """Who does a thing. Roles of staff are given in config/program.yaml."""

    REQUESTER = "requester"  # the clinician or EHR that ordered it
    COORDINATOR = "coordinator"
    SUPERVISOR = "supervisor"
    PEER = "peer"
    PERSON = "person"
    ENGINEER = "engineer"
    GATEWAY = "gateway"  # PeerFHIR itself


class Priority(StrEnum):
    """R4 request-priority."""

    ROUTINE = "routine"
    URGENT = "urgent"
    ASAP = "asap"
    STAT = "stat"


class Modality(StrEnum):
    """How a meeting took place; the FHIR class of each is in the mappings."""

    IN_PERSON = "in-person"
    HOME = "home"
    COMMUNITY = "community"
    BEDSIDE = "bedside"
    ED_BEDSIDE = "ed-bedside"
    PHONE = "phone"
    VIDEO = "video"
    TEXT_CHAT = "text-chat"


class ServiceType(StrEnum):
    """CodeSystem peer-service-type."""

    ONE_TO_ONE = "one-to-one"
    MENTORING = "mentoring"
    GROUP_FACILITATED = "group-facilitated"
    GROUP_SELF_LED = "group-self-led"
    WARM_LINE = "warm-line"
    BEDSIDE_ED = "bedside-ed"
    DISCHARGE_BRIDGE = "discharge-bridge"


class ShareClass(StrEnum):
    """What a grant lets out, from least to most telling."""

    EXISTENCE = "existence"
    ATTENDANCE = "attendance"
    SUMMARY = "summary"
    GOALS = "goals"
    SCORES = "scores"
    ITEM_LEVEL = "item-level"
    SAFETY = "safety"
    CARE_TEAM_CONTACT = "care-team-contact"


class Recipient(StrEnum):
    """To whom a person may let something out. Employer, school and corrections are never grantable."""

    REFERRER = "referrer"
    PCP = "pcp"
    BH_TEAM = "bh-team"
    HOSPITAL = "hospital"
    PAYER = "payer"
    GRANT = "grant"
    COURT = "court"
    FAMILY = "family"
    RESEARCH = "research"


class Stage(StrEnum):
    """The stages of walking alongside someone: CodeSystem peer-stage."""

    CONNECT = "connect"
    EXPLORE = "explore"
    PLAN = "plan"
    WALK_ALONGSIDE = "walk-alongside"
    CELEBRATE_AND_CLOSE = "celebrate-and-close"
    RECONNECT = "reconnect"


class Intervention(StrEnum):
    """What was done, as taps in a note."""

    LISTENED = "listened"
    SHARED_EXPERIENCE = "shared-experience"  # only that, never what
    GOAL_SETTING = "goal-setting"
    ACTION_PLAN = "action-plan"
    COPING_SKILL = "coping-skill"
    PROBLEM_SOLVE = "problem-solve"
    NAVIGATE_SYSTEM = "navigate-system"
    APPOINTMENT_ACCOMPANY = "appointment-accompany"
    ADVOCACY = "advocacy"
    RESOURCE_LINK = "resource-link"
    HOUSING = "housing"
    EMPLOYMENT = "employment"
    TRANSPORT = "transport"
    BENEFITS = "benefits"
    HEALTH_EDUCATION = "health-education"
    RECOVERY_MEETING = "recovery-meeting"
    HARM_REDUCTION_INFO = "harm-reduction-info"
    FAMILY_SUPPORT = "family-support"
    WELLNESS_TOOL = "wellness-tool"
    SOCIAL_CONNECTION = "social-connection"
    CRISIS_SUPPORT = "crisis-support"
    CELEBRATE = "celebrate"
    SYSTEM_COORDINATION = "system-coordination"
    GROUP_FACILITATION = "group-facilitation"
    CHECKIN = "checkin"


class ContactOutcome(StrEnum):
    """What came of one attempt to reach a person."""

    ANSWERED = "answered"
    LEFT_VOICEMAIL = "left-voicemail"
    TEXT_SENT = "text-sent"
    NO_ANSWER = "no-answer"
    WRONG_NUMBER = "wrong-number"
    NUMBER_OFF = "number-off"
    UNSAFE_TO_LEAVE = "unsafe-to-leave"
    ASKED_LATER = "asked-later"
    DOOR_NOT_ANSWERED = "door-not-answered"
    THIRD_PARTY = "third-party"


class DeclineReason(StrEnum):
    """Why a program cannot take a referral."""

    NO_CAPACITY = "no-capacity"
    OUTSIDE_SERVICE_AREA = "outside-service-area"
    AGE_OUT_OF_RANGE = "age-out-of-range"
    ELIGIBILITY_NOT_MET = "eligibility-not-met"
    OUT_OF_SCOPE_CRISIS_NOW = "out-of-scope-crisis-now"
    OUT_OF_SCOPE_CLINICAL_NEED = "out-of-scope-clinical-need"
    NEEDS_HIGHER_SUPPORT = "needs-higher-support"
    DUPLICATE = "duplicate"
    ALREADY_ENROLLED = "already-enrolled"
    MISSING_INFORMATION = "missing-information"
    LACK_OF_RESOURCES = "lack-of-resources"
    CONFLICT_OF_INTEREST = "conflict-of-interest"
    LANGUAGE_NOT_AVAILABLE = "language-not-available"
    SAFETY_OF_STAFF = "safety-of-staff"
    REFERRER_WITHDREW = "referrer-withdrew"
    OTHER = "other"


class ClosingReason(StrEnum):
    """Why an engagement ended; it stays inside the program."""

    GOALS_MET = "goals-met"
    PERSON_CHOSE_TO_END = "person-chose-to-end"
    MOVED_TO_OTHER_SUPPORT = "moved-to-other-support"
    LOST_CONTACT = "lost-contact"
    MOVED_AWAY = "moved-away"
    HOSPITAL_LONGTERM = "hospital-longterm"
    INCARCERATED = "incarcerated"
    DECEASED = "deceased"
    PROGRAM_ENDED = "program-ended"
    FUNDING_ENDED = "funding-ended"
    PEER_LEFT_NO_REMATCH = "peer-left-no-rematch"
    SAFETY = "safety"
    ADMINISTRATIVE = "administrative"
    TRANSITION_TO_VOLUNTEER = "transition-to-volunteer"
    TRANSITION_TO_PEER = "transition-to-peer"


class CompleteOn(StrEnum):
    """When the referral Task counts as fulfilled; sites differ."""

    ENROLLED = "enrolled"
    INTRO_DONE = "intro-done"
    EPISODE_CLOSED = "episode-closed"


class Piece(StrEnum):
    """One thing owed to a recipient: what a reader would learn, whatever form it arrives in."""

    STATUS = "status"  # the referral's own state
    ENCOUNTER = "encounter"
    PROCEDURE = "procedure"
    SUMMARY = "summary"
    RESPONSE = "response"
    ITEM = "item"  # one questionnaire answer; detail names it
    TOTAL = "total"
    PANEL = "panel"


SHARE_CLASS_OF: dict[Piece, ShareClass] = {
    Piece.STATUS: ShareClass.EXISTENCE,
    Piece.ENCOUNTER: ShareClass.ATTENDANCE,
    Piece.PROCEDURE: ShareClass.ATTENDANCE,
    Piece.SUMMARY: ShareClass.SUMMARY,
    Piece.RESPONSE: ShareClass.ITEM_LEVEL,
    Piece.ITEM: ShareClass.ITEM_LEVEL,
    Piece.TOTAL: ShareClass.SCORES,
    Piece.PANEL: ShareClass.SCORES,
}
