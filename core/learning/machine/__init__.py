"""What a computer has and lacks: memory, time, random numbers, turns."""
