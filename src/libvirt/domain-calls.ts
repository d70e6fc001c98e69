/** What the groups of the port's calls have in common: domains, lanes, and which of live and definition is meant. */
import { HypervisorError } from '../domain/hypervisor.js';
import type { CallOptions } from '../domain/hypervisor.js';
import type { VmId } from '../domain/ids.js';
import type { DomainHandles } from './domain-handles.js';
import { AffectFlag } from './enumerations.js';
import { ErrorCode, LibvirtError } from './errors.js';
import type { LaneSet } from './lane-set.js';
import type { DomainHandle } from './objects.js';

export class DomainCalls {
  constructor(
    readonly lanes: LaneSet,
    private readonly handles: DomainHandles,
  ) {}

  on(id: VmId, flags = 0): { readonly dom: DomainHandle; readonly flags: number } {
    return { dom: this.handles.get(id), flags };
  }

  /**
   * Changes the running domain and its definition in one call; of a transient domain, which has none, the running one
   * alone. libvirt refuses LIVE|CONFIG as a whole where one of the two is not there, with the code of any wrong state.
   */
  async liveAndDefined<T>(
    id: VmId,
    change: (flags: number) => Promise<T>,
    options?: CallOptions,
  ): Promise<T> {
    try {
      return await change(AffectFlag.live | AffectFlag.config);
    } catch (error) {
      if (!isCode(error, ErrorCode.operationInvalid) || (await this.#isPersistent(id, options))) throw error;
      return change(AffectFlag.live);
    }
  }

  /** As liveAndDefined(), but of a persistent domain that does not run the definition alone. */
  async whatThereIs<T>(id: VmId, change: (flags: number) => Promise<T>, options?: CallOptions): Promise<T> {
    try {
      return await this.liveAndDefined(id, change, options);
    } catch (error) {
      if (!isCode(error, ErrorCode.operationInvalid) || (await this.#isActive(id, options))) throw error;
      return change(AffectFlag.config);
    }
  }

  async #isPersistent(id: VmId, options?: CallOptions): Promise<boolean> {
    const { persistent } = await this.lanes.priority.call('DOMAIN_IS_PERSISTENT', this.on(id), options);
    return persistent !== 0;
  }

  async #isActive(id: VmId, options?: CallOptions): Promise<boolean> {
    const { active } = await this.lanes.priority.call('DOMAIN_IS_ACTIVE', this.on(id), options);
    return active !== 0;
  }
}

export function isCode(error: unknown, ...codes: readonly number[]): error is LibvirtError {
  return error instanceof LibvirtError && codes.includes(error.code);
}

/** Drivers refuse flags that they do not know, and procedures that need one. */
export function refusesFlags(error: unknown): boolean {
  return isCode(error, ErrorCode.invalidArg);
}

/**
 * Of calls that need the guest agent: that none is configured has libvirt's code for an argument that is not
 * supported, with which it means nothing else in these calls.
 */
export async function withAgent<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!isCode(error, ErrorCode.argumentUnsupported)) throw error;
    throw new HypervisorError('agent', error.message, { cause: error, detail: error.detail });
  }
}
