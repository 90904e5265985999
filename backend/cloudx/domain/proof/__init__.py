"""What the proof of a scan rests on: probes that left, answers that came, tries and waits."""
