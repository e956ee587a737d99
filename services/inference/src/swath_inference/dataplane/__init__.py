"""From a decoded request to outputs: loaded models, the device and its queue. Knows no protocol."""
