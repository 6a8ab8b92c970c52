"""The worker: wakes job rows through SAQ, keeps schedules, announces, seals."""
