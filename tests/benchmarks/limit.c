/* The limit of the machine: the engines' own additions by hand, for tests/benchmarks. Arrays are those of ProjectionTables and
 * EventTables (eventsnn/engine/tables.py, layout.py); potentials and weights are int32, and begin at multiples of 64 bytes. */
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#define BYTES 64 /* of a vector */
#elif defined __AVX2__
#define BYTES 32
#else
#define BYTES 16
#endif

#define EACH(K, PARTS) _Pragma("GCC unroll 16") for (int K = 0; K < PARTS; K++) /* not unrolled, sums would be in memory */

typedef int32_t lanes __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef void add_tap(int32_t *, const int32_t *, int64_t, const int32_t *, const int64_t *, int64_t);

/* Of one tap, for each step: charge[0:TILE] += the row of every spike, with the sums in registers; then charge += TILE. */
#define ADD_TAP(NAME, TYPE, TILE)                                                                             \
    static void NAME(int32_t *charge, const int32_t *weights, int64_t width, const int32_t *log, const int64_t *log_first, int64_t steps) { \
        enum { PARTS = TILE * 4 / sizeof(TYPE) };                                                             \
        for (int64_t step = 0; step < steps; step++, charge += TILE) {                                        \
            if (log_first[step] == log_first[step + 1]) continue;                                             \
            TYPE sums[PARTS];                                                                                 \
            EACH(k, PARTS) sums[k] = ((TYPE *)charge)[k];                                                     \
            for (int64_t i = log_first[step]; i < log_first[step + 1]; i++)                                   \
                EACH(k, PARTS) sums[k] += ((const TYPE *)(weights + log[i] * width))[k];                      \
            EACH(k, PARTS) ((TYPE *)charge)[k] = sums[k];                                                     \
        }                                                                                                     \
    }
#ifdef __AVX512F__ /* elsewhere there are too few registers */
ADD_TAP(add_256, lanes, 256)
ADD_TAP(add_128, lanes, 128)
#endif
ADD_TAP(add_64, lanes, 64)
ADD_TAP(add_32, lanes, 32)
ADD_TAP(add_16, lanes, 16)
ADD_TAP(add_1, int32_t, 1)

static const struct { int64_t tile; add_tap *add; } ways[] = {
#ifdef __AVX512F__
    {256, add_256}, {128, add_128},
#endif
    {64, add_64}, {32, add_32}, {16, add_16}, {1, add_1}};

/* sums[c / ci * co] += the row of each channel c of the log, for channels in groups */
static void add_grouped(int32_t *sums, const int32_t *weights, const int32_t *log, int64_t count, int64_t ci, int64_t co) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = 0; x < co; x++) sums[log[i] / ci * co + x] += weights[log[i] * co + x];
}

/* Clocked time: sums[neuron] += all charge that spikes bring, layer by layer through all steps; every step of a site is summed by itself.
 * Tap by tap, so that one tap's weights stay in cache over the sites of a block and all steps. charge: scratch for a block. */
void clocked(int64_t layers, int64_t steps, const int64_t *channels, const int64_t *sites, const int64_t *first_neuron,
             const int64_t *first_site, const int64_t *into, const int64_t *block, const int64_t *source, const int64_t *ci,
             const int64_t *co, const int64_t *tap_base, const int64_t *first_tap, const int32_t *tap_to, const int32_t *tap_site, const int64_t *tap_row,
             const int32_t *weights, const int32_t *log, const int64_t *log_first, int32_t *charge, int32_t *sums) {
    for (int64_t layer = 0; layer < layers; layer++)
        for (int64_t q = into[layer]; q < into[layer + 1]; q++) {
            int64_t width = co[q], grouped = ci[q] < channels[source[q]], tile;
            const int64_t *fired = log_first + first_site[source[q]] * steps;
            for (int64_t at = 0; at < (grouped ? 1 : width); at += tile) {
                int way = 0;
                while (ways[way].tile > width - at) way++;
                tile = ways[way].tile;
                for (int64_t first = 0; first < sites[layer]; first += block[layer]) {
                    const int64_t *taps = first_tap + tap_base[q] + first / block[layer];
                    int64_t here = sites[layer] - first < block[layer] ? sites[layer] - first : block[layer];
                    int32_t *to = sums + first_neuron[layer] + first * channels[layer] + at;
                    memset(charge, 0, grouped ? 0 : here * steps * tile * sizeof(int32_t));
                    for (int64_t tap = taps[0]; tap < taps[1]; tap++) {
                        int64_t site = tap_to[tap];
                        const int64_t *spikes = fired + tap_site[tap] * steps;
                        if (grouped)
                            add_grouped(to + site * channels[layer], weights + tap_row[tap], log + spikes[0], spikes[steps] - spikes[0],
                                        ci[q], width);
                        else
                            ways[way].add(charge + site * steps * tile, weights + tap_row[tap] + at, width, log, spikes, steps);
                    }
                    for (int64_t cell = 0; cell < (grouped ? 0 : here * steps); cell++)
                        for (int64_t c = 0; c < tile; c++) to[cell / steps * channels[layer] + c] += charge[cell * tile + c];
                }
            }
        }
}

typedef struct { uint64_t mask; int64_t first; } fired; /* bit i: neuron first + i */

/* v[0:16 * PARTS] += weights[0:16 * PARTS]; who reached theta is written to the log, which is seldom */
#ifdef __AVX512F__
#define ADD_AND_TEST(NAME, PARTS)                                                                             \
    static inline int64_t NAME(int32_t *v, const int32_t *weights, int32_t theta, int64_t first, fired *log, int64_t logged) { \
        __m512i p[PARTS], top = _mm512_set1_epi32(INT32_MIN);                                                 \
        EACH(k, PARTS) {                                                                                      \
            p[k] = _mm512_add_epi32(_mm512_loadu_si512(v + 16 * k), _mm512_loadu_si512(weights + 16 * k));    \
            _mm512_storeu_si512(v + 16 * k, p[k]);                                                            \
            top = _mm512_max_epi32(top, p[k]);                                                                \
        }                                                                                                     \
        if (__builtin_expect(_mm512_cmpge_epi32_mask(top, _mm512_set1_epi32(theta)), 0)) {                    \
            uint64_t mask = 0;                                                                                \
            EACH(k, PARTS) mask |= (uint64_t)_mm512_cmpge_epi32_mask(p[k], _mm512_set1_epi32(theta)) << 16 * k; \
            log[logged++] = (fired){mask, first};                                                             \
        }                                                                                                     \
        return logged;                                                                                        \
    }
#else
#define ADD_AND_TEST(NAME, PARTS)                                                                             \
    static inline int64_t NAME(int32_t *v, const int32_t *weights, int32_t theta, int64_t first, fired *log, int64_t logged) { \
        int reached = 0;                                                                                      \
        for (int i = 0; i < 16 * PARTS; i++) v[i] += weights[i];                                              \
        for (int i = 0; i < 16 * PARTS; i++) reached |= v[i] >= theta;                                        \
        if (__builtin_expect(reached, 0)) {                                                                   \
            uint64_t mask = 0;                                                                                \
            for (int i = 0; i < 16 * PARTS; i++) mask |= (uint64_t)(v[i] >= theta) << i;                      \
            log[logged++] = (fired){mask, first};                                                             \
        }                                                                                                     \
        return logged;                                                                                        \
    }
#endif
ADD_AND_TEST(test_64, 4)
ADD_AND_TEST(test_32, 2)
ADD_AND_TEST(test_16, 1)

/* v[first:first + width] += weights[0:width]; returns the length of the log */
static inline int64_t arrive(int32_t *v, const int32_t *weights, int64_t width, int32_t theta, int64_t first, fired *log, int64_t logged) {
    int64_t x = 0;
    for (; x + 64 <= width; x += 64) logged = test_64(v + first + x, weights + x, theta, first + x, log, logged);
    if (width & 32) logged = test_32(v + first + x, weights + x, theta, first + x, log, logged), x += 32;
    if (width & 16) logged = test_16(v + first + x, weights + x, theta, first + x, log, logged), x += 16;
    for (; x < width; x++)
        if ((v[first + x] += weights[x]) >= theta) log[logged++] = (fired){1, first + x};
    return logged;
}

/* Asynchronous time, order fifo, IF: the queue is a plain list, queue[0:room]; the spikes of the input in step t, at its beginning, are
 * inputs[input_first[t]:input_first[t + 1]]. counts[neuron]: its spikes. log: scratch, one place a neuron. Returns how long the queue
 * became, or -1 where it has no room. */
int64_t event(int64_t steps, int64_t readout, const int64_t *layers, const int32_t *layer_of, const int64_t *out_first, const int64_t *out,
              const int64_t *projections, const int64_t *row_of, const int64_t *first_run, const int64_t *runs, const int32_t *weights, const int32_t *drive,
              const int64_t *inputs, const int64_t *input_first, int64_t theta, int32_t *v, int32_t *counts, fired *log, int64_t *queue,
              int64_t room) {
    int64_t head = 0, tail = 0, first_silent = layers[2 * readout + 1], neurons = layers[2 * readout + 3];
#define LOCATE(NUMBER)                                                                                        \
    int64_t layer = layer_of[NUMBER], place = NUMBER - layers[2 * layer + 1];                                 \
    int64_t site = (uint32_t)place / (uint32_t)layers[2 * layer], c = place - site * layers[2 * layer];
#define STRETCHES (q[4] + site * q[5] + (q[5] > 1 ? row_of[q[6] + c] : 0))
#define FIRE                                                                                                  \
    for (int64_t i = 0; i < logged; i++)                                                                      \
        for (uint64_t mask = log[i].mask; mask; mask &= mask - 1) {                                           \
            int64_t n = log[i].first + __builtin_ctzll(mask);                                                 \
            for (; v[n] >= theta; v[n] -= theta, counts[n]++) { if (tail == room) return -1; queue[tail++] = n; } \
        }
    for (int64_t step = 0; step < steps; step++) {
        for (int64_t i = input_first[step]; i < input_first[step + 1]; i++) {
            if (tail == room) return -1;
            queue[tail++] = neurons + inputs[i];
        }
        int64_t logged = arrive(v, drive, first_silent, theta, 0, log, 0);
        FIRE
        arrive(v, drive + first_silent, neurons - first_silent, INT32_MAX, first_silent, log, 0);
        while (head < tail) {
            if (head + 2 < tail) { /* where the long rows of the spike after the next begin; the machine finds the rest by itself */
                LOCATE(queue[head + 2])
                for (int64_t o = out_first[layer]; o < out_first[layer + 1]; o++) {
                    const int64_t *q = projections + 7 * out[o], *first = first_run + STRETCHES, *run = runs + 3 * first[0];
                    for (; q[2] >= 256 && run < runs + 3 * first[1]; run += 3)
                        for (int k = 0; k < 8; k++) __builtin_prefetch(weights + run[1] + c * q[3] + 16 * k);
                }
            }
            int64_t number = queue[head++];
            LOCATE(number)
            logged = 0;
            for (int64_t o = out_first[layer]; o < out_first[layer + 1]; o++) {
                const int64_t *q = projections + 7 * out[o], *first = first_run + STRETCHES, *run = runs + 3 * first[0];
                int64_t group = c < q[1] ? 0 : c / q[1] * q[2], reached = q[0] < readout ? theta : INT32_MAX;
                for (; run < runs + 3 * first[1]; run += 3)
                    logged = arrive(v, weights + run[1] + c * q[3], run[2], reached, run[0] + group, log, logged);
            }
            FIRE
        }
    }
    return tail;
}
