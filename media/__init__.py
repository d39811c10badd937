"""The ground floor: errors, frame arithmetic, ffmpeg, pictures and sound in and out."""
