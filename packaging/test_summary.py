"""Prints what ctest's JUnit reports say: NAME=FILE... Failed and skipped tests with the reasons."""

import re
import sys
import xml.etree.ElementTree as ElementTree

LINES_OF_A_FAILURE = 25


def skip_reasons(output):
    """The reasons in a test's output: `skip: why` of a script, GTEST_SKIP's text of a unit test."""
    reasons = re.findall(r"^(?:skip(?:ped)?|SKIP(?:PED)?): *(.+)$", output, re.MULTILINE)
    reasons += re.findall(r": Skipped\n(.+)", output)
    return list(dict.fromkeys(reason.strip() for reason in reasons))


def read(name, path):
    """Counts of one report, and the lines to print about it."""
    passed, failures, failed, skipped = 0, 0, [], []
    try:
        cases = ElementTree.parse(path).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError) as error:
        return 0, 0, 0, [f"   {name}: no report: {error}"]
    for case in cases:
        output = case.findtext("system-out") or ""
        status = case.get("status")
        reasons = skip_reasons(output)
        if status == "run":
            passed += 1
            skipped += [f"     {case.get('name')} (in part): {reason}" for reason in reasons]
        elif status == "fail":
            failures += 1
            failed.append(f"     {case.get('name')}")
            tail = output.rstrip().splitlines()[-LINES_OF_A_FAILURE:]
            failed += [f"       | {line}" for line in tail]
        else:
            reason = "; ".join(reasons) or (output.strip().splitlines() or ["no reason given"])[-1]
            skipped.append(f"     {case.get('name')}: {reason}")
    whole = sum("(in part)" not in line for line in skipped)
    lines = [f"   {name}: {passed} passed, {failures} failed, {whole} skipped"]
    lines += ["     failed:", *failed] if failed else []
    lines += ["     skipped:", *skipped] if skipped else []
    return passed, failures, whole, lines


def main():
    total = [0, 0, 0]
    for argument in sys.argv[1:]:
        *counts, lines = read(*argument.split("=", 1))
        total = [a + b for a, b in zip(total, counts)]
        print("\n".join(lines))
    if total[0] + total[1] == 0:
        print("NO TEST RAN")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")


main()
