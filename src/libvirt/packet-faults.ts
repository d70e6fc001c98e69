/** What a daemon sends that it should not: counted, and logged at most once per kind and interval. */
import type { Logger, RateLimiter } from '../util/log.js';
import type { Metrics } from '../util/metrics.js';
import type { PacketHeader } from './wire.js';

export interface PacketFaultsDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limiter: RateLimiter;
}

export class PacketFaults {
  constructor(
    private readonly lane: string,
    private readonly deps: PacketFaultsDeps,
  ) {}

  /** A well-formed packet that nobody expects; it is dropped. */
  unexpected(kind: string, header: PacketHeader): void {
    const { metrics, limiter, log } = this.deps;
    metrics.libvirt_unknown_total.inc({ kind });
    limiter.run(`unknown ${kind}`, (swallowed) =>
      log.warn({ lane: this.lane, kind, header, swallowed }, 'dropped a packet that nobody expects'),
    );
  }

  malformed(kind: string, fault: string): void {
    const { metrics, limiter, log } = this.deps;
    metrics.libvirt_malformed_total.inc({ kind });
    limiter.run(`malformed ${kind}`, (swallowed) =>
      log.warn({ lane: this.lane, kind, fault, swallowed }, 'libvirt sent what cannot be decoded'),
    );
  }
}
