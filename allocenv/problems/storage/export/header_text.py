"""The text of the C header around its tables. `$name` stands for the policy's name, `$NAME` for it in capitals."""

from string import Template

HEADER = Template("""\
/* $name.h: where to place a block that is written, or touched for the first time. Made by allocenv; do not edit.
 *
 * C99, whole numbers only: no heap, no floating point, no library, so that it also fits into a driver. Trained on
 * $origin
 *
 *     ${name}_tier tier = ${name}_tier_of(capacity);      // of the fastest device, in pages
 *     ${name}_page page = ${name}_new_page(device);       // 8 bytes for every page
 *
 *     now++;                                              // counts requests
 *     if (is_write || ${name}_is_new(page))               // else the pages stay where they are
 *         device = ${name}_place(&tier, free_pages, now, page, pages_of_request, is_write);
 *     page = ${name}_moved(page, device, now);            // where it moves, for each page of the request
 *     page = ${name}_touched(page, now);                  // for each page of the request, always
 *
 * `page` of ${name}_place is the request's first one. Devices are numbered from 0, the fastest.
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stdint.h>

#define ${NAME}_DEVICES $devices
#define ${NAME}_FEATURES $features
#define ${NAME}_WIDTH $width
#define ${NAME}_TABLE_BYTES $table_bytes

/* First layer: the rows of every feature's bins, one feature after the other. No sum of them leaves 16 bits. */
static const int16_t ${name}_rows[$n_rows][${NAME}_WIDTH] = {
$rows
};

/* What swish is above half its argument, in cells of the argument's size. */
static const uint16_t ${name}_curve[$cells] = {
$curve
};

/* The device for binned features: type, size, access interval, accesses, free share, device, move interval.
 * A shift right keeps the sign, as every compiler does. */
static inline int ${name}_decide($parameters)
{
    uint16_t cell[${NAME}_WIDTH];
    int64_t h, most = 0, $declared;
    int best = 0, k;
$row_pointers
    for (k = 0; k < ${NAME}_WIDTH; k++) {
        int16_t z = (int16_t)($row_sum);
        cell[k] = (uint16_t)((uint16_t)(z ^ (z >> 15)) >> $cell_bits);
    }
$last_layer
    return best;
}

static inline int ${name}_choose(const uint8_t bins[${NAME}_FEATURES])
{
    return ${name}_decide($all_bins);
}

/* What is kept of a page: bits 0-2 device, 3 moved ever, 4-20 accesses, 21-41 and 42-63 the low bits of the
 * requests of its last move and last access. Stamps wrap: a page idle for over four million requests can look
 * recent, unless ${name}_refreshed is called for every page at least once in a million requests. */
typedef struct {
    uint64_t bits;
} ${name}_page;

#define ${NAME}_MOVE_MASK 0x1fffffu
#define ${NAME}_ACCESS_MASK 0x3fffffu
#define ${NAME}_COUNT_MASK 0x1ffffu

static inline ${name}_page ${name}_packed(int device, uint32_t moved, uint32_t count, uint32_t move, uint32_t access)
{
    ${name}_page page;
    page.bits = (uint64_t)device | (uint64_t)moved << 3 | (uint64_t)count << 4
                | (uint64_t)(move & ${NAME}_MOVE_MASK) << 21 | (uint64_t)access << 42;
    return page;
}

static inline int ${name}_device(${name}_page page)
{
    return (int)(page.bits & 7);
}

static inline uint32_t ${name}_was_moved(${name}_page page)
{
    return (uint32_t)(page.bits >> 3) & 1;
}

static inline uint32_t ${name}_count(${name}_page page)
{
    return (uint32_t)(page.bits >> 4) & ${NAME}_COUNT_MASK;
}

static inline uint32_t ${name}_since_move(${name}_page page, uint32_t now)
{
    return (now - (uint32_t)(page.bits >> 21)) & ${NAME}_MOVE_MASK;
}

static inline uint32_t ${name}_since_access(${name}_page page, uint32_t now)
{
    return (now - (uint32_t)(page.bits >> 42)) & ${NAME}_ACCESS_MASK;
}

static inline int ${name}_is_new(${name}_page page)
{
    return ${name}_count(page) == 0;
}

static inline ${name}_page ${name}_new_page(int device)
{
    return ${name}_packed(device, 0, 0, 0, 0);
}

static inline ${name}_page ${name}_touched(${name}_page page, uint32_t now)
{
    uint32_t count = ${name}_count(page);
    return ${name}_packed(${name}_device(page), ${name}_was_moved(page),
                          count < ${NAME}_COUNT_MASK ? count + 1 : count, (uint32_t)(page.bits >> 21), now);
}

static inline ${name}_page ${name}_moved(${name}_page page, int device, uint32_t now)
{
    if (device == ${name}_device(page))
        return page;
    return ${name}_packed(device, 1, ${name}_count(page), now, (uint32_t)(page.bits >> 42));
}

static inline ${name}_page ${name}_refreshed(${name}_page page, uint32_t now)
{
    uint32_t old = ${NAME}_ACCESS_MASK >> 1;
    uint32_t moved = ${name}_was_moved(page) && ${name}_since_move(page, now) <= ${NAME}_MOVE_MASK >> 1;
    uint32_t access = ${name}_since_access(page, now) > old ? now - old : (uint32_t)(page.bits >> 42);
    return ${name}_packed(${name}_device(page), moved, ${name}_count(page), (uint32_t)(page.bits >> 21), access);
}

/* From how many free pages on the fastest device has one eighth free, two eighths, and so on. */
typedef struct {
    uint32_t at_least[7];
} ${name}_tier;

static inline ${name}_tier ${name}_tier_of(uint32_t capacity)
{
    ${name}_tier tier;
    int k;
    for (k = 0; k < 7; k++)
        tier.at_least[k] = (uint32_t)(((uint64_t)capacity * (uint32_t)(k + 1) + 7) / 8);
    return tier;
}

/* The whole number below the base-2 logarithm of 1 or more. */
static inline uint32_t ${name}_log2(uint32_t value)
{
#if defined(__GNUC__)
    return 31u ^ (uint32_t)__builtin_clz(value);
#else
    uint32_t found = 0;
    while (value >>= 1)
        found++;
    return found;
#endif
}

/* A bin per power of two: 0 for one page, 1 from 2, .. 7 from 128. */
static inline uint32_t ${name}_size_bin(uint32_t pages)
{
    uint32_t bin = ${name}_log2(pages | 1);
    return bin < 7 ? bin : 7;
}

/* The value itself below 8, then four bins per power of two: 63 for the greatest count. */
static inline uint32_t ${name}_count_bin(uint32_t value)
{
    uint32_t octave = ${name}_log2(value | 4) - 2;
    return 4 * octave + (value >> octave);
}

/* The same of an interval, at most 63. */
static inline uint32_t ${name}_long_bin(uint32_t value)
{
    uint32_t bin = ${name}_count_bin(value);
    return bin < 63 ? bin : 63;
}

static inline uint32_t ${name}_free_bin(const ${name}_tier *fastest, uint32_t free_pages)
{
    uint32_t bin = 4u * (free_pages >= fastest->at_least[3]);
    bin += 2u * (free_pages >= fastest->at_least[bin + 1]);
    return bin + (free_pages >= fastest->at_least[bin]);
}

/* The device for a request, seen before ${name}_touched. */
static inline int ${name}_place(const ${name}_tier *fastest, uint32_t free_pages, uint32_t now, ${name}_page page,
                                uint32_t pages, int is_write)
{
    uint32_t access = ${name}_long_bin(${name}_since_access(page, now));
    uint32_t move = ${name}_long_bin(${name}_since_move(page, now));
    return ${name}_decide(is_write != 0, ${name}_size_bin(pages), ${name}_is_new(page) ? 63 : access,
                          ${name}_count_bin(${name}_count(page)), ${name}_free_bin(fastest, free_pages),
                          (uint32_t)${name}_device(page), ${name}_was_moved(page) ? move : 63);
}

#endif
""")
