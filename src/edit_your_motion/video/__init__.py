"""Video in and out: choose, fit, read and write frames; frame rate and sound are carried along."""

from edit_your_motion.video.clip import Video, VideoInfo, repeat_frames
from edit_your_motion.video.fit import Fit, fit_frame, fit_frames, fit_transform, parse_size
from edit_your_motion.video.reading import choose_frames, locate_frames, probe, read_frames_at, read_video
from edit_your_motion.video.selection import Selection, select
from edit_your_motion.video.writing import write_video

__all__ = [
    "Fit",
    "Selection",
    "Video",
    "VideoInfo",
    "choose_frames",
    "fit_frame",
    "fit_frames",
    "fit_transform",
    "locate_frames",
    "parse_size",
    "probe",
    "read_frames_at",
    "read_video",
    "repeat_frames",
    "select",
    "write_video",
]
