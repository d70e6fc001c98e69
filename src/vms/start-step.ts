/**
 * What brings a defined domain to life: a launch, or a restore of saved memory. create.ts has the rest of a start, which
 * is the same for both: admission, the place in line, the definition, failures, and what is read when QEMU runs.
 */
import type { DomainDescription } from '../domain/devices.js';
import type { CallOptions, Hypervisor } from '../domain/hypervisor.js';
import type { CauseName } from '../domain/vm-transitions.js';

export interface StartStep {
  /** The record's first status, which VM.create answers. */
  readonly internal: 'WaitForLaunch' | 'Restoring state';
  /**
   * The domain XML to define and run, where it is not the one that was sent. Called when the start has its place;
   * what it rejects with ends the start.
   */
  readonly xmlInstead?: (sent: DomainDescription) => Promise<string>;
  /** Has QEMU run the domain, which is defined by this description by now. Long: a deadline goes with it. */
  readonly run: (domain: DomainDescription, options: CallOptions) => Promise<void>;
  /** Of success; what the domain's state then says is applied after them. */
  readonly causes: (domain: DomainDescription) => readonly CauseName[];
  /** Of a failure; its text becomes the exit record's. */
  readonly failed: CauseName;
}

/** Boots it, or leaves it before its first instruction where the metadata say `launchPaused`. */
export function launchStep(hypervisor: Pick<Hypervisor, 'launch'>): StartStep {
  const isPaused = ({ metadata }: DomainDescription): boolean => metadata?.launchPaused ?? false;
  return {
    internal: 'WaitForLaunch',
    run: (domain, options) => hypervisor.launch(domain.id, { paused: isPaused(domain) }, options),
    causes: (domain) => [isPaused(domain) ? 'launched-paused' : 'launched'],
    failed: 'launch-failed',
  };
}
