"""Small tools of the domain: text of numbers, chance that repeats, globs, patches, maps kept change by change."""
