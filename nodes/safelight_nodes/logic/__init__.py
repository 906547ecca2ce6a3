"""Yes and no: rules over several conditions."""
