"""The closed lists of the language, with the words that the field also uses for them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

__all__ = [
    "ANGLE_ALIASES",
    "CAMERA_MOVE_ALIASES",
    "SHOT_SIZE_ALIASES",
    "TRANSITION_ALIASES",
    "Angle",
    "CameraMove",
    "ShotSize",
    "TransitionKind",
]


class ShotSize(StrEnum):
    """How much of a person the frame holds, from the eyes to the landscape."""

    ECU = "ECU"
    CU = "CU"
    MCU = "MCU"
    MS = "MS"
    MLS = "MLS"
    LS = "LS"
    ELS = "ELS"
    OTS = "OTS"
    POV = "POV"
    INSERT = "INSERT"


class Angle(StrEnum):
    """Where the camera stands against the subject's eye line."""

    EYE = "eye"
    LOW = "low"
    HIGH = "high"
    OVERHEAD = "overhead"
    GROUND = "ground"
    DUTCH = "dutch"


class CameraMove(StrEnum):
    """A camera move; `_left`, `_up`, `_in` say where the camera goes, not the picture."""

    STATIC = "static"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    TILT_UP = "tilt_up"
    TILT_DOWN = "tilt_down"
    ROLL_LEFT = "roll_left"
    ROLL_RIGHT = "roll_right"
    PUSH_IN = "push_in"
    PULL_OUT = "pull_out"
    TRUCK_LEFT = "truck_left"
    TRUCK_RIGHT = "truck_right"
    CRANE_UP = "crane_up"
    CRANE_DOWN = "crane_down"
    ZOOM_IN = "zoom_in"
    ZOOM_OUT = "zoom_out"
    DOLLY_ZOOM = "dolly_zoom"
    ORBIT_LEFT = "orbit_left"
    ORBIT_RIGHT = "orbit_right"
    HANDHELD = "handheld"
    WHIP_LEFT = "whip_left"
    WHIP_RIGHT = "whip_right"


class TransitionKind(StrEnum):
    """How one shot becomes the next."""

    CUT = "cut"
    DISSOLVE = "dissolve"
    FADE = "fade"
    WIPE = "wipe"
    J_CUT = "j_cut"
    L_CUT = "l_cut"


SHOT_SIZE_ALIASES: Mapping[str, ShotSize] = {
    "extreme_close_up": ShotSize.ECU,
    "xcu": ShotSize.ECU,
    "bcu": ShotSize.ECU,
    "close_up": ShotSize.CU,
    "closeup": ShotSize.CU,
    "medium_close_up": ShotSize.MCU,
    "medium_shot": ShotSize.MS,
    "medium": ShotSize.MS,
    "mid_shot": ShotSize.MS,
    "mid": ShotSize.MS,
    "medium_long_shot": ShotSize.MLS,
    "american": ShotSize.MLS,
    "cowboy": ShotSize.MLS,
    "long_shot": ShotSize.LS,
    "long": ShotSize.LS,
    "wide_shot": ShotSize.LS,
    "wide": ShotSize.LS,
    "ws": ShotSize.LS,
    "fs": ShotSize.LS,
    "full_shot": ShotSize.LS,
    "full": ShotSize.LS,
    "extreme_long_shot": ShotSize.ELS,
    "extreme_wide": ShotSize.ELS,
    "establishing": ShotSize.ELS,
    "ews": ShotSize.ELS,
    "xls": ShotSize.ELS,
    "over_the_shoulder": ShotSize.OTS,
    "point_of_view": ShotSize.POV,
    "detail": ShotSize.INSERT,
    "cutaway": ShotSize.INSERT,
}
ANGLE_ALIASES: Mapping[str, Angle] = {
    "eye_level": Angle.EYE,
    "level": Angle.EYE,
    "low_angle": Angle.LOW,
    "high_angle": Angle.HIGH,
    "birds_eye": Angle.OVERHEAD,
    "top": Angle.OVERHEAD,
    "top_down": Angle.OVERHEAD,
    "worms_eye": Angle.GROUND,
    "canted": Angle.DUTCH,
    "dutch_angle": Angle.DUTCH,
}
CAMERA_MOVE_ALIASES: Mapping[str, CameraMove] = {
    "locked": CameraMove.STATIC,
    "locked_off": CameraMove.STATIC,
    "still": CameraMove.STATIC,
    "none": CameraMove.STATIC,
    "pan": CameraMove.PAN_RIGHT,
    "tilt": CameraMove.TILT_UP,
    "roll": CameraMove.ROLL_RIGHT,
    "dolly": CameraMove.PUSH_IN,
    "dolly_in": CameraMove.PUSH_IN,
    "dolly_forward": CameraMove.PUSH_IN,
    "push": CameraMove.PUSH_IN,
    "track_in": CameraMove.PUSH_IN,
    "dolly_out": CameraMove.PULL_OUT,
    "dolly_back": CameraMove.PULL_OUT,
    "pull_back": CameraMove.PULL_OUT,
    "pull": CameraMove.PULL_OUT,
    "track_out": CameraMove.PULL_OUT,
    "truck": CameraMove.TRUCK_RIGHT,
    "track_left": CameraMove.TRUCK_LEFT,
    "track_right": CameraMove.TRUCK_RIGHT,
    "dolly_left": CameraMove.TRUCK_LEFT,
    "dolly_right": CameraMove.TRUCK_RIGHT,
    "slide_left": CameraMove.TRUCK_LEFT,
    "slide_right": CameraMove.TRUCK_RIGHT,
    "pedestal": CameraMove.CRANE_UP,
    "pedestal_up": CameraMove.CRANE_UP,
    "pedestal_down": CameraMove.CRANE_DOWN,
    "crane": CameraMove.CRANE_UP,
    "boom_up": CameraMove.CRANE_UP,
    "boom_down": CameraMove.CRANE_DOWN,
    "jib_up": CameraMove.CRANE_UP,
    "jib_down": CameraMove.CRANE_DOWN,
    "zoom": CameraMove.ZOOM_IN,
    "vertigo": CameraMove.DOLLY_ZOOM,
    "orbit": CameraMove.ORBIT_RIGHT,
    "arc": CameraMove.ORBIT_RIGHT,
    "arc_left": CameraMove.ORBIT_LEFT,
    "arc_right": CameraMove.ORBIT_RIGHT,
    "hand_held": CameraMove.HANDHELD,
    "shoulder": CameraMove.HANDHELD,
    "whip_pan": CameraMove.WHIP_RIGHT,
    "whip": CameraMove.WHIP_RIGHT,
}
TRANSITION_ALIASES: Mapping[str, TransitionKind] = {
    "straight_cut": TransitionKind.CUT,
    "hard_cut": TransitionKind.CUT,
    "crossfade": TransitionKind.DISSOLVE,
    "cross_dissolve": TransitionKind.DISSOLVE,
    "xfade": TransitionKind.DISSOLVE,
    "mix": TransitionKind.DISSOLVE,
    "fade_in": TransitionKind.FADE,
    "fade_out": TransitionKind.FADE,
    "fade_to_black": TransitionKind.FADE,
    "j": TransitionKind.J_CUT,
    "l": TransitionKind.L_CUT,
    "split_edit": TransitionKind.L_CUT,
}
