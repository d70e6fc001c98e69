/**
 * When a verb that answers before its work is done has done it: for `--wait`. Pure; wait.ts follows the events.
 */

/** What has been told of the VM since the call was sent. */
export interface Told {
  /** Undefined: the VM is gone. */
  readonly status: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

export type Outcome = 'waiting' | 'arrived' | { readonly failed: string };

export interface WaitRule {
  /** Completes "waits until ...". */
  readonly until: string;
  /** @param told in order, the present last; never empty */
  outcome(told: readonly Told[], params: Readonly<Record<string, unknown>>): Outcome;
}

const last = (told: readonly Told[]): Told => told.at(-1) ?? { status: undefined, fields: {} };
const wasEver = (told: readonly Told[], status: string): boolean =>
  told.some((each) => each.status === status);

function endOf({ status, fields }: Told): string {
  if (status === undefined) return 'the VM was forgotten meanwhile';
  const message = fields['exitMessage'];
  return typeof message === 'string' ? message : `the VM is ${status}`;
}

const isOver = ({ status }: Told): boolean => status === undefined || status === 'Down';

/** Up again by way of RebootInProgress. */
function rebooted(told: readonly Told[]): Outcome {
  const now = last(told);
  if (isOver(now)) return { failed: endOf(now) };
  return now.status === 'Up' && wasEver(told, 'RebootInProgress') ? 'arrived' : 'waiting';
}

export const waitRules: Readonly<Partial<Record<string, WaitRule>>> = {
  'VM.create': {
    until: 'the VM is Up, or Paused where it is to be launched so',
    outcome(told) {
      const now = last(told);
      if (isOver(now)) return { failed: endOf(now) };
      return now.status === 'Up' || now.status === 'Paused' ? 'arrived' : 'waiting';
    },
  },
  'VM.shutdown': {
    until: 'the VM is Down, or with reboot=true Up again',
    outcome(told, { reboot }) {
      if (reboot === true || reboot === 'true') return rebooted(told);
      const now = last(told);
      if (isOver(now)) {
        return now.status === undefined || now.fields['exitCode'] === 0 ? 'arrived' : { failed: endOf(now) };
      }
      const gaveUp = now.status === 'Up' && wasEver(told, 'Powering down');
      return gaveUp ? { failed: 'the guest did not shut down; force=true ends it' } : 'waiting';
    },
  },
  'VM.reset': { until: 'the VM is Up again', outcome: rebooted },
  'VM.hibernate': {
    until: 'the memory is saved',
    outcome(told) {
      const now = last(told);
      if (isOver(now)) return now.fields['exitReason'] === 5 ? 'arrived' : { failed: endOf(now) };
      const gaveUp = now.status !== 'Saving State' && wasEver(told, 'Saving State');
      return gaveUp ? { failed: `the memory could not be saved; the VM is ${now.status}` } : 'waiting';
    },
  },
};
