"""Point-in-time forecasting of irregular series: splines, a recurrence over segments, gated runs."""
