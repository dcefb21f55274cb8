/** A rise of a rate is told to the minute or not at all, and traffic that is as ever is no rise. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { findRateStep } from '../../../src/diagnosis/clients/rate-step.ts';

/** Traffic that repeats from run to run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Calls in a minute that know nothing of each other: a Poisson number, by Knuth's product. */
function poisson(mean: number, random: () => number): number {
  if (mean > 300) return poisson(mean / 2, random) + poisson(mean / 2, random);
  const limit = Math.exp(-mean);
  let calls = -1;
  for (let product = 1; product > limit; product *= random()) calls += 1;
  return calls;
}

interface Traffic {
  readonly random: () => number;
  readonly minutes: number;
  readonly mean: number;
}

function counts({ minutes, random }: Traffic, meanOf: (minute: number) => number): number[] {
  return Array.from({ length: minutes }, (_, minute) => poisson(meanOf(minute), random));
}

/** Flat as it is met: nothing in it is a rise that stays. */
const FLAT: Readonly<Record<string, (traffic: Traffic) => number[]>> = {
  'independent calls': (traffic) => counts(traffic, () => traffic.mean),
  'calls that come in bursts': (traffic) => {
    const { mean, random } = traffic;
    const factor = 2 + random() * 6;
    let busy = false;
    return counts(traffic, () => {
      if (random() < (busy ? 0.1 : 0.04)) busy = !busy;
      return busy ? mean * factor : mean;
    });
  },
  'calls that scatter': (traffic) => {
    // An exponential mean for each minute: the variance is mean + mean².
    return counts(traffic, () => -Math.log(1 - traffic.random()) * traffic.mean);
  },
  'calls by the time of day': (traffic) => {
    const [depth, phase] = [traffic.random() * 0.8, traffic.random() * 1440];
    return counts(traffic, (minute) => {
      return traffic.mean * (1 + depth * Math.sin(((minute + phase) * 2 * Math.PI) / 1440));
    });
  },
  'calls of cron': (traffic) => {
    const every = traffic.random() < 0.5 ? 5 : 60;
    return counts(traffic, (minute) => (minute % every === 0 ? traffic.mean * every : 0.2));
  },
};

const minutesOf = [60, 120, 240, 720] as const;
const tenths = (min: number, max: number) =>
  fc.integer({ min: min * 10, max: max * 10 }).map((value) => value / 10);

describe('a rise of a rate', () => {
  for (const [name, make] of Object.entries(FLAT)) {
    it(`is not claimed of ${name}, in less than one of a hundred`, () => {
      const random = randomOf(name.length);
      const runs = 200;
      let claims = 0;
      for (let run = 0; run < runs; run += 1) {
        const minutes = minutesOf[run % minutesOf.length] ?? 60;
        const mean = 10 ** (random() * 2);
        if (findRateStep(make({ random, minutes, mean })) !== null) claims += 1;
      }
      assert.ok(claims < runs / 100, `${claims} of ${runs}`);
    });
  }

  it('is found within a minute of where it is, or not claimed', () => {
    let [clear, missed] = [0, 0];
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          before: tenths(0, 60),
          factor: tenths(1, 12),
          minutes: fc.integer({ min: 45, max: 400 }),
          place: fc.integer({ min: 0, max: 1000 }).map((part) => part / 1000),
        }),
        ({ seed, before, factor, minutes, place }) => {
          const random = randomOf(seed);
          const at = 5 + place * (minutes - 10);
          const rise = { random, minutes, mean: before };
          const series = counts(rise, (minute) => {
            const higher = Math.min(1, Math.max(0, minute + 1 - at));
            return before * (1 + higher * (factor - 1));
          });
          const step = findRateStep(series);
          if (before >= 5 && factor >= 4 && at >= 35 && minutes - at >= 20) {
            clear += 1;
            if (step === null) missed += 1;
          }
          if (step === null) return;
          // A minute holds all that happens in it.
          assert.ok(Math.abs(step.at - at) <= 1, `at ${step.at}, not ${at}`);
          assert.ok(step.after >= 2 * step.before);
        },
      ),
      { numRuns: 400, seed: 20_181_113 },
    );
    assert.ok(clear > 50 && missed === 0, `${missed} of ${clear} missed`);
  });

  it('has the medians of both sides', () => {
    const series = [...new Array(60).fill(10), ...new Array(60).fill(51)];
    assert.deepEqual(findRateStep(series), { at: 60, before: 10, after: 51 });
  });

  it('of a client that was not there before begins at nothing', () => {
    const series = [...new Array(40).fill(0), ...new Array(16).fill(5)];
    assert.deepEqual(findRateStep(series), { at: 40, before: 0, after: 5 });
  });

  const none: Readonly<Record<string, readonly number[]>> = {
    'of no calls': [],
    'of one minute': [100],
    'that is over again': [
      ...new Array(60).fill(10),
      ...new Array(20).fill(60),
      ...new Array(60).fill(10),
    ],
    'that is over again after a night of it': [
      ...new Array(300).fill(10),
      ...new Array(600).fill(50),
      ...new Array(300).fill(10),
    ],
    'that has come before': [
      ...new Array(60).fill(10),
      ...new Array(30).fill(60),
      ...new Array(60).fill(10),
      ...new Array(30).fill(60),
    ],
    'of too little': [...new Array(60).fill(0), ...new Array(60).fill(2)],
    'of less than twice': [...new Array(60).fill(100), ...new Array(60).fill(190)],
    'of a few minutes': [...new Array(120).fill(10), ...new Array(14).fill(100)],
    'with too little before': [...new Array(29).fill(10), ...new Array(60).fill(100)],
    'that goes down': [...new Array(60).fill(100), ...new Array(60).fill(10)],
  };
  for (const [name, series] of Object.entries(none)) {
    it(`${name} is none`, () => assert.equal(findRateStep(series), null));
  }
});
