"""Films from pictures: zooms and crossfades, encoded as animated WebP or MP4; knows nothing of Discord."""
