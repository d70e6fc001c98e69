/**
 * Changes VMs behind the agent's back and keeps the account of it: which statuses an engine must have been told, in which
 * order, each once.
 */
import type { SimulatedDomain } from '../../src/simulator/domain.js';
import type { SeededRandom } from '../../src/simulator/random.js';
import type { SimulatedHost } from '../../src/simulator/simulated-host.js';
import { statusGroup } from '../../test/support/fake-engine.js';
import type { FakeEngine, StatusGroup } from '../../test/support/fake-engine.js';

/** Position in an engine's account of changes. */
export interface Mark {
  readonly told: number;
  readonly done: number;
}

export class Ledger {
  /** What was done, oldest first. */
  readonly #done: { readonly id: string; readonly group: StatusGroup }[] = [];

  constructor(private readonly host: SimulatedHost) {}

  get changes(): number {
    return this.#done.length;
  }

  mark(engine: FakeEngine): Mark {
    return { told: engine.changes.length, done: this.#done.length };
  }

  /** Pauses, resumes, ends or starts one VM whose QEMU answers. */
  change(random: SeededRandom): void {
    const domain = random.pick([...this.host.domains].filter(({ monitor, job }) => !monitor.hung && !job));
    if (domain) this.#act(domain, random.next());
  }

  #act(domain: SimulatedDomain, fate: number): void {
    const { lifecycle } = this.host;
    const { uuid: id } = domain.config;
    const isPaused = domain.active && !domain.running;
    if (!domain.active) lifecycle.start(domain, false);
    else if (isPaused) lifecycle.resume(domain);
    else if (fate < 0.85) lifecycle.suspend(domain);
    else lifecycle.destroy(domain, false);
    const group = !domain.active ? 'off' : domain.running ? 'running' : 'paused';
    this.#done.push({ id, group });
  }

  /** Changes since the mark that the engine was not told, or was told twice or in another order, by VM. */
  lost(engine: FakeEngine, since: Mark): string[] {
    const done = byVm(this.#done.slice(since.done).map(({ id, group }) => [id, group]));
    const told = byVm(engine.changes.slice(since.told).map(({ vmId, to }) => [vmId, statusGroup(to)]));
    return [...done].flatMap(([id, expected]) => {
      const got = told.get(id) ?? [];
      return expected.join() === got.join() ? [] : [`${id}: ${expected.join(' ')}; told: ${got.join(' ')}`];
    });
  }
}

/** Groups in order, repetitions (Powering up, then Up) taken for one. */
function byVm(entries: readonly (readonly [string, StatusGroup])[]): Map<string, StatusGroup[]> {
  const groups = new Map<string, StatusGroup[]>();
  for (const [id, group] of entries) {
    const list = groups.get(id) ?? [];
    if (list.at(-1) !== group) list.push(group);
    groups.set(id, list);
  }
  return groups;
}
