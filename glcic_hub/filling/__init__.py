"""The way of one hole: `fill.fill` is the door, `options.FillOptions` what can be asked of it."""
