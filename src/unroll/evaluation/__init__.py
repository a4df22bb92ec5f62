"""What a finished model is worth: measures, baselines, samples, figures, the comparison."""
