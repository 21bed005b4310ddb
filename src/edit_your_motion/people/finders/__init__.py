"""What finds people in frames: BlazePose, and the networks that rtmlib brings."""
