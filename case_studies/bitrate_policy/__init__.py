"""A learned bitrate policy that never picks some bitrates: found, explained, repaired, guarded."""
