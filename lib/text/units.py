"""Units in words."""

# As written, or in lower case where that is unambiguous.
UNITS = {
    "kg": "kilogram", "g": "gram", "mg": "milligram", "µg": "microgram", "μg": "microgram",
    "mcg": "microgram",
    "lb": "pound", "lbs": "pound", "oz": "ounce", "tsp": "teaspoon", "tbsp": "tablespoon",
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "µm": "micrometer",
    "μm": "micrometer", "nm": "nanometer", "ft": "foot", "mi": "mile", "yd": "yard", "sq ft": "square foot",
    "sq. ft": "square foot",
    "mph": "mile per hour", "km/h": "kilometer per hour", "kmh": "kilometer per hour",
    "kph": "kilometer per hour",
    "m/s": "meter per second", "mpg": "mile per gallon", "rpm": "revolution per minute",
    "fps": "frame per second",
    "l": "liter", "ml": "milliliter", "cl": "centiliter", "dl": "deciliter", "gal": "gallon", "ha": "hectare",
    "hz": "hertz", "khz": "kilohertz", "mhz": "megahertz", "ghz": "gigahertz",
    "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte", "kbps": "kilobit per second",
    "mbps": "megabit per second", "gbps": "gigabit per second",
    "w": "watt", "kw": "kilowatt", "mw": "megawatt", "kwh": "kilowatt hour", "wh": "watt hour", "v": "volt",
    "kv": "kilovolt", "ma": "milliampere", "mah": "milliampere hour", "Ω": "ohm", "db": "decibel",
    "pa": "pascal", "hpa": "hectopascal", "kpa": "kilopascal", "psi": "pound per square inch",
    "kcal": "kilocalorie", "cal": "calorie", "kj": "kilojoule",
    "°c": "degree celsius", "°f": "degree fahrenheit", "°": "degree", "%": "percent", "‰": "per mille",
    "ms": "millisecond", "sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour",
    "hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year", "wk": "week", "wks": "week",
}
# What may follow a stroke: $20/hr, 10 litres/day.
FOLLOWING = {
    "s": "second", "sec": "second", "second": "second", "min": "minute", "minute": "minute", "h": "hour",
    "hr": "hour", "hour": "hour", "day": "day", "d": "day", "night": "night", "wk": "week", "week": "week",
    "mo": "month", "month": "month", "yr": "year", "year": "year", "person": "person", "people": "person",
    "kg": "kilogram", "g": "gram", "lb": "pound", "oz": "ounce", "l": "liter", "ml": "milliliter",
    "m": "meter", "km": "kilometer", "mile": "mile",
}
_SAME = ("hertz", "percent", "per mille")  # say the same of one and of many


def many(name):
    """Give the plural of a unit: its last word before "per" takes it, "degree celsius" the first."""
    if name.endswith(_SAME):
        return name
    head, per, rest = name.partition(" per ")
    if head.startswith("degree"):
        return "degrees" + head[len("degree"):]
    head = head[: -len("foot")] + "feet" if head.endswith("foot") else head + "s"
    return head + per + rest
