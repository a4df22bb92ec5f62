"""What several kinds of model share: cells, recurrent layers, losses, the device."""
