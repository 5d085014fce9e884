/* The yardstick: what consentclf's first stage computes, paragraph by paragraph in C, from the same table.
 *
 * Folding, white space, n-grams, look-ups, counts of kinds, dense features and logits. Not here: Markdown, which is
 * taken away before, and NUL characters, which the caller avoids.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { PAD, SPACE, IGNORE, STOP, COLON, SEPARATOR, PUNCT, SYMBOL, DIGIT, LETTER, UPPER, IDEOGRAPH };
enum { WORD1 = 11, WORD2, WORD3, SKIP2, OPEN, SENT };

static const uint64_t M1 = 0x9E3779B97F4A7C15u, M2 = 0xBF58476D1CE4E5B9u, M3 = 0x94D049BB133111EBu;
static const uint64_t M4 = 0xD6E8FEB86659FD93u, BASE = 0x5851F42D4C957F2Du;

typedef struct {
    const uint8_t *table;
    int shift;
    int64_t sums[4];
    int64_t count;
} Sums;

static inline void look(Sums *s, uint64_t h, uint64_t salt)
{
    h = (h ^ salt) * M3;
    h ^= h >> 32;
    const uint8_t *w = s->table + 4 * ((h * M1) >> s->shift);
    s->sums[0] += w[0];
    s->sums[1] += w[1];
    s->sums[2] += w[2];
    s->sums[3] += w[3];
    s->count++;
}

static inline uint64_t pair(const uint32_t *c) { return (uint64_t)c[0] * 0x10001u * M4 + c[1]; }

static void dense(float *out, float chars, float words, const int *kinds, int first, int last, float share,
                  const float *edges, int n_chars, int n_words)
{
    float size = chars > 1 ? chars : 1, many = words > 1 ? words : 1;
    float letters = size - kinds[DIGIT] - kinds[STOP] - kinds[COLON] - kinds[SEPARATOR] - kinds[PUNCT]
                    - kinds[SYMBOL] - kinds[SPACE];
    if (letters < 1) letters = 1;
    *out++ = log1pf(chars) / 6;
    *out++ = log1pf(words) / 4;
    *out++ = kinds[UPPER] / size;
    *out++ = kinds[DIGIT] / size;
    *out++ = kinds[STOP] / size * 10;
    *out++ = kinds[COLON] / size * 10;
    *out++ = kinds[SEPARATOR] / size * 5;
    *out++ = kinds[PUNCT] / size * 5;
    *out++ = kinds[SYMBOL] / size * 5;
    *out++ = kinds[SPACE] / size * 4;
    *out++ = fminf(letters / many / 10, 2);
    *out++ = fminf(kinds[STOP] / many * 4, 2);
    *out++ = last == STOP;
    *out++ = last == COLON;
    *out++ = last == SEPARATOR;
    *out++ = last == DIGIT;
    *out++ = first == UPPER;
    *out++ = first == DIGIT;
    *out++ = first < DIGIT && first > PAD;
    *out++ = kinds[UPPER] >= 0.9f * letters;
    *out++ = kinds[UPPER] / many;
    *out++ = share >= 0;
    *out++ = share >= 0 ? share : 0;
    *out++ = share > 0.8f;
    *out++ = share > 0 && share <= 0.3f;
    for (int i = 0; i < n_chars; i++) *out++ = chars >= edges[i];
    for (int i = 0; i < n_words; i++) *out++ = words >= edges[n_chars + i];
}

/* raw: the paragraphs' code points end to end; size: their lengths. Returns 0, or 1 without memory. */
int score(const uint16_t *raw, const int64_t *size, const float *share, int64_t n, const uint32_t *alphabet,
          const uint8_t *table, int bits, const int32_t *families, const uint64_t *salts, int n_families,
          const double *scales, const float *edges, int n_chars, int n_words, const float *weights,
          const float *bias, double *logits)
{
    int64_t longest = 0;
    for (int64_t i = 0; i < n; i++)
        if (size[i] > longest) longest = size[i];
    uint32_t *codes = malloc((size_t)(longest + 6) * sizeof *codes);
    uint8_t *kind = malloc((size_t)longest + 6);
    uint64_t *word = malloc((size_t)(longest + 4) * sizeof *word);
    uint8_t *opens = malloc((size_t)longest + 4);
    float features[128];
    if (!codes || !kind || !word || !opens) return 1;
    for (int64_t i = 0; i < n; raw += size[i++]) {
        int counts[16] = {0};
        int64_t end = 3;
        for (int k = 0; k < 3; k++) codes[k] = 0, kind[k] = PAD;
        for (int64_t j = 0; j < size[i]; j++) {
            uint32_t folded = alphabet[raw[j]];
            uint8_t what = (uint8_t)(folded >> 16);
            if (what == IGNORE || (what == SPACE && kind[end - 1] <= SPACE)) continue;
            codes[end] = folded & 0xFFFF;
            kind[end++] = what;
        }
        if (kind[end - 1] == SPACE) end--;
        for (int k = 0; k < 3; k++) codes[end + k] = 0, kind[end + k] = PAD;
        uint64_t pad_hash = (uint64_t)1 ^ ((uint64_t)1 >> 29);
        pad_hash *= M2;
        int64_t words = 1;
        word[0] = pad_hash;
        opens[0] = 1;
        int stop = 0;
        for (int64_t j = 3; j < end;) {
            uint8_t what = kind[j];
            counts[what]++;
            if (what < DIGIT) {
                stop |= what == STOP;
                j++;
                continue;
            }
            uint64_t hash = codes[j] + (uint64_t)1, power = BASE;
            int64_t k = j + 1;
            if (what != IDEOGRAPH)
                for (; kind[k] >= DIGIT && kind[k] != IDEOGRAPH; k++, power *= BASE) {
                    counts[kind[k]]++;
                    hash += (codes[k] + (uint64_t)1) * power;
                }
            hash ^= hash >> 29;
            word[words] = hash * M2;
            opens[words++] = (uint8_t)stop;
            stop = 0;
            j = k;
        }
        for (int k = 0; k < 3; k++) word[words + k] = pad_hash;

        Sums sums = {table, 64 - bits, {0}, 0};
        for (int f = 0; f < n_families; f++) {
            uint64_t salt = salts[f];
            int64_t last = families[f] > 3 ? end - 1 : end, begin = 2;
            if (families[f] == 4 && last < 3) last = 3;
            if (families[f] == 5 && last - 1 < begin) begin = last - 1;
            switch (families[f]) {
            case 1: for (int64_t j = begin; j < last; j++) look(&sums, codes[j], salt); break;
            case 2: for (int64_t j = begin; j < last; j++) look(&sums, pair(codes + j), salt); break;
            case 3: for (int64_t j = begin; j < last; j++) look(&sums, pair(codes + j) * M1 + codes[j + 2], salt); break;
            case 4: for (int64_t j = begin; j < last; j++) look(&sums, pair(codes + j) * M1 + pair(codes + j + 2), salt); break;
            case 5:
                for (int64_t j = begin; j < last; j++)
                    look(&sums, (pair(codes + j) * M1 + pair(codes + j + 2)) * M1 + codes[j + 4], salt);
                break;
            case WORD1: for (int64_t j = 0; j < words; j++) look(&sums, word[j], salt); break;
            case WORD2: for (int64_t j = 0; j < words; j++) look(&sums, word[j] * M1 + word[j + 1], salt); break;
            case WORD3:
                for (int64_t j = 0; j < words; j++) look(&sums, (word[j] * M1 + word[j + 1]) * M4 + word[j + 2], salt);
                break;
            case SKIP2: for (int64_t j = 0; j < words; j++) look(&sums, word[j] * M4 + word[j + 2], salt); break;
            case OPEN: look(&sums, (word[1] * M4 + word[2]) * M1, salt); break;
            case SENT:
                for (int64_t j = 0; j < words; j++)
                    if (opens[j]) look(&sums, word[j], salt);
                break;
            }
        }
        int64_t length = end - 3;
        dense(features, (float)length, (float)(words - 1), counts, kind[3], length ? kind[end - 1] : PAD, share[i],
              edges, n_chars, n_words);
        double out[4] = {bias[0], bias[1], bias[2], bias[3]};
        for (int k = 0; k < 25 + n_chars + n_words; k++)
            for (int j = 0; j < 4; j++) out[j] += (double)features[k] * weights[4 * k + j];
        double norm = sqrt(fmax(sums.sums[3] * scales[3], 1e-9));
        for (int j = 0; j < 3; j++) out[j + 1] += (sums.sums[j] - 128 * sums.count) * scales[j] / norm;
        for (int j = 0; j < 4; j++) logits[4 * i + j] = out[j];
    }
    free(codes);
    free(kind);
    free(word);
    free(opens);
    return 0;
}
