"""Numbers in words."""
import re

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
SERIAL = 15  # digits; a longer number is read digit by digit
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
          "November", "December")


def say(number, to="cardinal"):
    """Give a number (digits, commas and a point) in words, without commas, which would be heard as pauses."""
    from num2words import num2words
    number = str(number).replace(",", "")
    whole, _, decimals = number.partition(".")
    leading_zero = to == "cardinal" and re.match(r"0\d", number)
    if len(whole) > SERIAL or leading_zero:
        return " point ".join(digits(part) for part in number.split("."))
    if decimals:
        return f"{say(whole or 0)} point {digits(decimals)}"  # keep the noughts that a float would lose
    return num2words(int(whole), to=to).replace(",", "")


def digits(number):
    """Give each digit of `number` as a word."""
    from num2words import num2words
    return " ".join(num2words(int(c)) for c in number if c.isdigit())


def ordinal(number):
    """Give the ordinal of a whole number in words."""
    return say(int(number), "ordinal")


def number_or_year(written):
    """Read four digits from 1100 to 2099 as a year, else as a number."""
    return say(written, "year") if re.fullmatch(r"1[1-9]\d\d|20\d\d", written) else say(written)


def amount(low, high):
    """One number, or the two of a range."""
    return f"{number_or_year(low)} to {number_or_year(high)}" if high else number_or_year(low)
