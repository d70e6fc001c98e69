/**
 * Starts that nobody sees to: of an earlier agent, or of this one where the hypervisor gave no answer. libvirt tells by no
 * event that a start has failed, so their state is read every few seconds until it is known what became of them.
 */
import type { VmId } from '../domain/ids.js';
import type { Clock } from '../util/time.js';
import { isBeingStarted } from './refresher.js';
import type { Registry } from './registry.js';

const PERIOD_MS = 3_000;

export class OrphanStarts {
  readonly #ids = new Set<VmId>();
  readonly #removers: (() => void)[] = [];
  #cancel: (() => void) | undefined;

  constructor(
    private readonly parts: {
      readonly registry: Registry;
      readonly clock: Clock;
      /** Has the state read. */
      readonly look: (id: VmId) => void;
    },
  ) {}

  start(): void {
    const { registry } = this.parts;
    this.#removers.push(
      registry.onChange((id) => this.#note(id)),
      // So says a start that has ended without an answer.
      registry.onDoubt((id) => this.#note(id)),
    );
  }

  stop(): void {
    for (const remove of this.#removers.splice(0)) remove();
    this.#ids.clear();
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #note(id: VmId): void {
    const vm = this.parts.registry.get(id);
    if (!vm || !isBeingStarted(vm)) {
      this.#ids.delete(id);
      return;
    }
    this.#ids.add(id);
    this.#cancel ??= this.parts.clock.after(PERIOD_MS, () => {
      this.#cancel = undefined;
      for (const each of [...this.#ids]) this.#lookAt(each);
    });
  }

  #lookAt(id: VmId): void {
    const { registry, look } = this.parts;
    const isSeenTo = registry.locks.running(id) !== undefined;
    this.#ids.delete(id);
    if (isSeenTo) return;
    look(id);
    this.#note(id);
  }
}
