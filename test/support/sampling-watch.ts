/**
 * Watches an agent keep the sampler's promise while a test does its worst to some VMs: the highest age of a sample that
 * any healthy VM ever had, and the sampler's own counts, from outside.
 */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { VdsmClient } from '../../src/client/client.js';

const POLL_MS = 50;
/** The sampler's, for periods of 2 to 4 s. */
export const SHARD_DEADLINE_SEC = 0.5;
/** See sampler/stuck-budget.ts. */
const MAX_STUCK_CALLS = 8;
/** A machine that is busy otherwise may be late by itself: a promise that was kept once can be kept. */
const ATTEMPTS = 3;

export interface AgentHealth {
  readonly status: string;
  readonly problems: readonly { readonly what: string; readonly action: string; readonly since: string }[];
  readonly sampler: {
    readonly lastTickAgeSec: number | null;
    readonly lastTickSec: number | null;
    readonly oldestSampleAgeSec: number | null;
  };
}

/** The body and status of a GET on the agent's UNIX socket. */
export function httpGet(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, timeout: 5000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    outgoing
      .on('error', reject)
      .on('timeout', () => outgoing.destroy(new Error(`${path}: no answer in 5 s`)));
    outgoing.end();
  });
}

export class SamplingWatch {
  /** Seconds. */
  oldestAgeSec = 0;
  mostStuckCalls = 0;
  /** The slowest answer of Agent.getHealth, ms. */
  slowestAnswerMs = 0;
  /** Who was late at last, in the agent's words. */
  lateVms = '';
  /** What took longer than it may. */
  readonly delays: string[] = [];
  #stopped = false;
  readonly #loop: Promise<void>;

  private constructor(
    private readonly client: VdsmClient,
    private readonly socketPath: string,
  ) {
    this.#loop = this.#watch();
  }

  static async start(socketPath: string): Promise<SamplingWatch> {
    return new SamplingWatch(await VdsmClient.connect(`unix:${socketPath}`), socketPath);
  }

  health(): Promise<AgentHealth> {
    return this.client.call('Agent.getHealth', {}) as Promise<unknown> as Promise<AgentHealth>;
  }

  /** A metric without labels, or the sum over its labels; names are without `vdsm_agent_`. */
  async metric(name: string): Promise<number> {
    const { body } = await httpGet(this.socketPath, '/metrics');
    const values = body.matchAll(new RegExp(`^vdsm_agent_${name}(?:{.*})? (\\S+)$`, 'gm'));
    return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** Resolves when that many more cycles have ended. */
  async cycles(count: number): Promise<void> {
    const endAt = (await this.metric('sampler_tick_seconds_count')) + count;
    while ((await this.metric('sampler_tick_seconds_count')) < endAt) await delay(POLL_MS);
  }

  /** Waits for it, and notes where that took longer than it may. */
  async within(limitSec: number, what: string, done: Promise<unknown>): Promise<void> {
    const startMs = performance.now();
    await done;
    const tookSec = (performance.now() - startMs) / 1000;
    if (tookSec > limitSec) this.delays.push(`${tookSec.toFixed(2)} s ${what}`);
  }

  /** Monotonic ms of this process at which the next cycle begins, about. */
  async nextTickAt(periodMs: number): Promise<number> {
    const { lastTickAgeSec, lastTickSec } = (await this.health()).sampler;
    let at = performance.now() - ((lastTickAgeSec ?? 0) + (lastTickSec ?? 0)) * 1000;
    while (at < performance.now() + POLL_MS) at += periodMs;
    return at;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
    await this.client.close();
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const startMs = performance.now();
      const { sampler, problems } = await this.health();
      this.lateVms = problems.find(({ what }) => what.startsWith('samples of'))?.action ?? this.lateVms;
      this.slowestAnswerMs = Math.max(this.slowestAnswerMs, performance.now() - startMs);
      this.oldestAgeSec = Math.max(this.oldestAgeSec, sampler.oldestSampleAgeSec ?? 0);
      this.mostStuckCalls = Math.max(this.mostStuckCalls, await this.metric('sampler_stuck_calls'));
      await delay(POLL_MS);
    }
  }
}

/** Resolves when all VMs have samples. */
export async function samplingBegun(socketPath: string): Promise<void> {
  const watch = await SamplingWatch.start(socketPath);
  await watch.cycles(3);
  await watch.stop();
}

export interface FaultPlan {
  readonly socketPath: string;
  readonly periodSec: number;
  /** Does its worst; called anew for each attempt, which are numbered from 1. */
  readonly fault: (watch: SamplingWatch, attempt: number) => Promise<void>;
  /** Undoes it, whatever came of it. */
  readonly restore: (watch: SamplingWatch) => Promise<void>;
}

/**
 * Runs a fault and holds the sampler to its promise: no healthy VM's sample is late or not asked for, or ever older than
 * a period and a shard's deadline; calls that hang stay few.
 */
export async function assertPromiseKept(
  t: TestContext,
  { socketPath, periodSec, fault, restore }: FaultPlan,
): Promise<void> {
  let broken: string[] = [];
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const watch = await SamplingWatch.start(socketPath);
    const missed = async (): Promise<number> =>
      (await watch.metric('sampler_late_vms_total')) + (await watch.metric('sampler_withheld_vms_total'));
    broken = watch.delays;
    try {
      const before = await missed();
      await fault(watch, attempt);
      const samples = (await missed()) - before;
      if (samples > 0) broken.push(`${samples} samples of healthy VMs were missed`);
    } finally {
      await restore(watch);
      await watch.stop();
    }
    const { oldestAgeSec, mostStuckCalls, slowestAnswerMs } = watch;
    if (oldestAgeSec > periodSec + SHARD_DEADLINE_SEC) broken.push(`a sample was ${oldestAgeSec} s old`);
    assert.ok(mostStuckCalls <= MAX_STUCK_CALLS, `${mostStuckCalls} calls hung`);
    t.diagnostic(
      `attempt ${attempt}: oldest sample ${oldestAgeSec} s, stuck calls ${mostStuckCalls}, ` +
        `slowest answer ${Math.round(slowestAnswerMs)} ms; ${broken.join('; ') || 'kept'}; ${watch.lateVms}`,
    );
    if (broken.length === 0) return;
  }
  assert.fail(`broken each time, at last: ${broken.join('; ')}`);
}
