"""What do the lines of a text trace say? One kernel for every format, told its columns by a table.

A line is a row of fields between commas or blanks. Lines without any, lines that begin with `#`, and lines that
a column says are no request (`ONLY`, `RWBS`, `ACTION`, `DEVICE`) are passed over and counted.
"""

import numpy as np

from allocenv.core.kernel import kernel

# kinds of columns
SKIP = 0  # anything
INTEGER = 1
DECIMAL = 2  # scaled by 10**digits; what lies beyond is dropped
OPERATION = 3  # R, Read, W, Write in any case: 0 read, 1 write
NAME = 4  # part of the volume's name
ONLY = 5  # the line is no request unless the field is this one character (`digits`)
RWBS = 6  # blkparse: R or W among the letters; without, or with D (discard), no request
ACTION = 7  # fio: read 0, write 1, wait 2; other words: no request
DEVICE = 8  # blkparse: `8,0`; other words: no request. Part of the volume's name
SECTOR = 9  # blkparse: as INTEGER, but `[process]` in its place: no request

# what is wrong with a line
MISSING, NOT_A_NUMBER, TOO_LARGE, NOT_AN_OPERATION, SURPLUS, VOLUMES = range(1, 7)

# cursor
AT, LINE, OTHERS, BAD, BAD_LINE, BAD_COLUMN, BAD_BEGIN, BAD_END, BAD_CODE, N_VOLUMES = range(10)

BLANK, NEWLINE, COMMA, MINUS, POINT = 32, 10, 44, 45, 46
_LARGEST = (2**63 - 1) // 10


@kernel
def read_lines(text, columns, separator, loose, skip_bad, names, out, numbers, cursor):
    """Read lines until the text or the room ends, or at a bad line unless `skip_bad`. Returns how many requests.

    Args:
        text: uint8 [n]; its last byte is a newline.
        columns: int64 [K, 3]: kind, digits, row of `out` or -1.
        separator: COMMA or BLANK (any run of blanks and tabs).
        loose: how many of the last columns may be missing (0 then); below 0: any further fields are passed over.
        skip_bad: go on after a bad line.
        names: int64 [2, 2**k]: hashes of volumes' names and their numbers, an open table.
        out: int64 [C, T], the last row holds volumes.
        numbers: int64 [T]: the line of each request.
        cursor: int64 [10], see above.
    """
    n, rows, at = len(text), 0, cursor[AT]
    while at < n and rows < len(numbers):
        start = at
        cursor[LINE] += 1
        error, passed, more, k = 0, False, True, 0
        volume = np.int64(1469598103934665603)
        while text[at] == 32 or text[at] == 9 or text[at] == 13:
            at += 1
        begin = end = at
        if text[at] == NEWLINE or text[at] == 35:
            passed = True
        while k < len(columns) and not passed:
            while text[at] == 32 or text[at] == 9 or text[at] == 13:
                at += 1
            begin = at
            if separator == COMMA:
                while text[at] != COMMA and text[at] != NEWLINE:
                    at += 1
                end = at
                while end > begin and text[end - 1] <= 32:
                    end -= 1
            else:
                while text[at] != 32 and text[at] != 9 and text[at] != 13 and text[at] != NEWLINE:
                    at += 1
                end = at
                more = end > begin
            kind, value = columns[k, 0], np.int64(0)
            if not more:
                if k >= len(columns) - loose:
                    for left in range(k, len(columns)):
                        if columns[left, 2] >= 0:
                            out[columns[left, 2], rows] = 0
                    break
                error = MISSING
                break
            if separator == COMMA:
                more = text[at] == COMMA
                at += more
            if kind == SKIP:
                k += 1
                continue
            if kind == SECTOR and text[begin] == 91:
                passed = True
                break
            if kind in (INTEGER, DECIMAL, SECTOR):
                p, digits, decimals = begin, 0, np.int64(-1)
                negative = text[p] == MINUS and p < end
                p += negative
                while p < end:
                    d = np.int64(text[p]) - 48
                    if 0 <= d <= 9:
                        if decimals != 0:
                            if value > _LARGEST or (value == _LARGEST and d > 7):
                                error = TOO_LARGE
                                break
                            value = value * 10 + d
                            decimals -= decimals > 0
                        digits += 1
                    elif d == -2 and kind == DECIMAL and decimals < 0:
                        decimals = columns[k, 1]
                    else:
                        error = NOT_A_NUMBER
                        break
                    p += 1
                if error == 0 and digits == 0:
                    error = NOT_A_NUMBER
                if error == 0 and kind == DECIMAL:
                    decimals = columns[k, 1] if decimals < 0 else decimals
                    for _ in range(decimals):
                        if value > _LARGEST:
                            error = TOO_LARGE
                            break
                        value *= 10
                if negative:
                    value = -value
            elif kind == OPERATION:
                c, length = text[begin] | 32, end - begin
                value = np.int64(c == 119)
                if not (
                    (c == 114 and (length == 1 or (length == 4 and (text[begin + 1] | 32) == 101)))
                    or (c == 119 and (length == 1 or (length == 5 and (text[begin + 1] | 32) == 114)))
                ):
                    error = NOT_AN_OPERATION
            elif kind in (NAME, DEVICE):
                commas = 0
                for p in range(begin, end):
                    volume = (volume ^ np.int64(text[p])) * 1099511628211
                    commas += text[p] == COMMA
                    if kind == DEVICE and text[p] != COMMA and not 48 <= text[p] <= 57:
                        commas = 2
                volume = (volume ^ 31) * 1099511628211
                if kind == DEVICE and commas != 1:
                    passed = True
            elif kind == ONLY:
                passed = end - begin != 1 or text[begin] != columns[k, 1]
            elif kind == RWBS:
                passed = True
                for p in range(begin, end):
                    if text[p] == 87 or text[p] == 82:
                        passed, value = False, np.int64(text[p] == 87)
                    elif text[p] == 68:
                        passed = True
                        break
            elif kind == ACTION:
                c, length = text[begin], end - begin
                if c == 114 and length == 4:
                    value = np.int64(0)
                elif c == 119 and length == 5:
                    value = np.int64(1)
                elif c == 119 and length == 4:
                    value = np.int64(2)
                else:
                    passed = True
            if error != 0:
                break
            if columns[k, 2] >= 0:
                out[columns[k, 2], rows] = value
            k += 1
        if error == 0 and not passed and loose >= 0:
            while text[at] == 32 or text[at] == 9 or text[at] == 13:
                at += 1
            if text[at] != NEWLINE or (separator == COMMA and more):
                error, begin, end = SURPLUS, at, at
                while text[end] != NEWLINE:
                    end += 1
        while text[at] != NEWLINE:
            at += 1
        at += 1
        if error == 0 and not passed:
            slot = (volume ^ (volume >> 29)) & (names.shape[1] - 1)
            while names[1, slot] > 0 and names[0, slot] != volume:
                slot = (slot + 1) & (names.shape[1] - 1)
            if names[1, slot] == 0:
                if 2 * cursor[N_VOLUMES] >= names.shape[1]:
                    error, begin, end, k = VOLUMES, start, start, 0
                else:
                    cursor[N_VOLUMES] += 1
                    names[0, slot], names[1, slot] = volume, cursor[N_VOLUMES]
            out[len(out) - 1, rows] = names[1, slot] - 1
        if error != 0:
            cursor[BAD] += 1
            if cursor[BAD] == 1:
                cursor[BAD_LINE], cursor[BAD_COLUMN], cursor[BAD_CODE] = cursor[LINE], k, error
                cursor[BAD_BEGIN], cursor[BAD_END] = begin, end
            if not skip_bad:
                break
        elif passed:
            cursor[OTHERS] += 1
        else:
            numbers[rows] = cursor[LINE]
            rows += 1
    cursor[AT] = at
    return rows
