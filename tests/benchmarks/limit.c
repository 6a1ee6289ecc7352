/* The limit of the machine: the engines' own additions by hand, for tests/benchmarks. Arrays are those of ProjectionTables and
 * EventTables (eventsnn/engine/tables.py, layout.py); potentials and weights are int32. */
#include <stdint.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef int32_t lanes __attribute__((vector_size(64), aligned(4), may_alias)); /* gcc takes it apart where vectors are shorter */

/* to[0:16 * PARTS] += every row, with the sums in registers; not unrolled they would be in memory */
#define EACH(K, PARTS) _Pragma("GCC unroll 8") for (int K = 0; K < PARTS; K++)
#define ADD_ROWS(NAME, PARTS)                                                                                 \
    static void NAME(int32_t *to, const int32_t *weights, const int32_t *rows, int64_t count) {               \
        lanes sums[PARTS];                                                                                    \
        EACH(k, PARTS) sums[k] = ((lanes *)to)[k];                                                            \
        for (int64_t i = 0; i < count; i++)                                                                   \
            EACH(k, PARTS) sums[k] += ((const lanes *)(weights + rows[i]))[k];                                \
        EACH(k, PARTS) ((lanes *)to)[k] = sums[k];                                                            \
    }
ADD_ROWS(add_128, 8)
ADD_ROWS(add_64, 4)
ADD_ROWS(add_32, 2)
ADD_ROWS(add_16, 1)

/* to[c / ci * co] += the row of channel c, for channels in groups */
static void add_grouped(int32_t *to, const int32_t *weights, const int32_t *log, int64_t count, int64_t ci, int64_t co) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = 0; x < co; x++) to[log[i] / ci * co + x] += weights[log[i] * co + x];
}

static void add_1(int32_t *to, const int32_t *weights, const int32_t *rows, int64_t count) {
    for (int64_t i = 0; i < count; i++) *to += weights[rows[i]];
}

/* Clocked time: sums[neuron] += all charge that spikes bring, layer by layer through all steps, one tile of channels after the other, so
 * that its weights stay in cache. Every step of a site is summed by itself. rows, first_row: scratch, the rows of each (site, step). */
void clocked(int64_t layers, int64_t steps, const int64_t *channels, const int64_t *sites, const int64_t *first_neuron,
             const int64_t *first_site, const int64_t *into, const int64_t *source, const int64_t *ci, const int64_t *co,
             const int64_t *tap_base, const int64_t *first_tap, const int32_t *tap_site, const int64_t *tap_row, const int32_t *weights,
             const int32_t *log, const int64_t *log_first, int32_t *rows, int64_t *first_row, int32_t *sums) {
    for (int64_t layer = 0; layer < layers; layer++)
        for (int64_t q = into[layer]; q < into[layer + 1]; q++) {
            int64_t cells = sites[layer] * steps, listed = 0, width = co[q], tile;
            for (int64_t cell = 0; cell < cells; cell++) {
                const int64_t *taps = first_tap + tap_base[q] + cell / steps;
                first_row[cell] = listed;
                for (int64_t tap = taps[0]; tap < taps[1]; tap++) {
                    int64_t from = (first_site[source[q]] + tap_site[tap]) * steps + cell % steps;
                    if (ci[q] < channels[source[q]])
                        add_grouped(sums + first_neuron[layer] + cell / steps * channels[layer], weights + tap_row[tap],
                                    log + log_first[from], log_first[from + 1] - log_first[from], ci[q], width);
                    else
                        for (int64_t i = log_first[from]; i < log_first[from + 1]; i++) rows[listed++] = tap_row[tap] + log[i] * width;
                }
            }
            first_row[cells] = listed;
            for (int64_t at = 0; at < width && listed; at += tile) {
                int64_t left = width - at;
                tile = left >= 128 ? 128 : left >= 64 ? 64 : left >= 32 ? 32 : left >= 16 ? 16 : 1;
                void (*add)(int32_t *, const int32_t *, const int32_t *, int64_t) =
                    tile == 128 ? add_128 : tile == 64 ? add_64 : tile == 32 ? add_32 : tile == 16 ? add_16 : add_1;
                for (int64_t cell = 0; cell < cells; cell++)
                    add(sums + first_neuron[layer] + cell / steps * channels[layer] + at, weights + at, rows + first_row[cell],
                        first_row[cell + 1] - first_row[cell]);
            }
        }
}

/* v[0:16] += weights[0:16]; bit i of the result says whether v[i] >= theta */
static inline uint32_t add_and_test(int32_t *v, const int32_t *weights, int32_t theta) {
#ifdef __AVX512F__
    __m512i p = _mm512_add_epi32(_mm512_loadu_si512(v), _mm512_loadu_si512(weights));
    _mm512_storeu_si512(v, p);
    return _mm512_cmpge_epi32_mask(p, _mm512_set1_epi32(theta));
#else
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++) v[i] += weights[i];
    for (int i = 0; i < 16; i++) mask |= (uint32_t)(v[i] >= theta) << i;
    return mask;
#endif
}

/* Asynchronous time, order fifo, IF: the queue is a plain list, queue[0:room]; the spikes of the input in step t, at its beginning, are
 * inputs[input_first[t]:input_first[t + 1]]. counts[neuron]: its spikes. Returns how long the queue became, or -1 where it has no room. */
int64_t event(int64_t steps, int64_t readout, const int64_t *layers, const int32_t *layer_of, const int64_t *out_first, const int64_t *out,
              const int64_t *projections, const int64_t *first_run, const int64_t *runs, const int32_t *weights, const int32_t *drive,
              const int64_t *inputs, const int64_t *input_first, int32_t theta, int32_t *v, int64_t *counts, int64_t *queue, int64_t room) {
    int64_t head = 0, tail = 0, first_silent = layers[2 * readout + 1], neurons = layers[2 * readout + 3];
#define FIRE(X) for (; v[X] >= theta; v[X] -= theta, counts[X]++) { if (tail == room) return -1; queue[tail++] = X; }
    for (int64_t step = 0; step < steps; step++) {
        for (int64_t i = input_first[step]; i < input_first[step + 1]; i++) {
            if (tail == room) return -1;
            queue[tail++] = neurons + inputs[i];
        }
        for (int64_t x = 0; x < neurons; x++) {
            v[x] += drive[x];
            if (x < first_silent) FIRE(x)
        }
        while (head < tail) {
            int64_t number = queue[head++], layer = layer_of[number], place = number - layers[2 * layer + 1];
            int64_t site = place / layers[2 * layer], c = place % layers[2 * layer];
            for (int64_t o = out_first[layer]; o < out_first[layer + 1]; o++) {
                const int64_t *q = projections + 5 * out[o], *run = runs + 3 * first_run[q[4] + site];
                for (; run < runs + 3 * first_run[q[4] + site + 1]; run += 3) {
                    const int32_t *row = weights + run[1] + c * q[3];
                    int64_t to = run[0] + c / q[1] * q[2], x = 0;
                    for (; x + 16 <= run[2]; x += 16) {
                        uint32_t mask = add_and_test(v + to + x, row + x, theta);
                        for (mask = q[0] < readout ? mask : 0; mask; mask &= mask - 1) {
                            int64_t n = to + x + __builtin_ctz(mask);
                            FIRE(n)
                        }
                    }
                    for (; x < run[2]; x++) {
                        int64_t n = to + x;
                        v[n] += row[x];
                        if (q[0] < readout) FIRE(n)
                    }
                }
            }
        }
    }
    return tail;
}
