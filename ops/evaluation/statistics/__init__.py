"""What scored videos say beyond accuracies: intervals, calibration, confusions, comparisons. Plain NumPy."""
