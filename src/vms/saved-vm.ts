/**
 * The configuration file that VM.hibernate writes beside the memory file and VM.create reads again: JSON by
 * schema/saved-vm.json. Pure but for reading the schema.
 *
 * VDSM's counterpart is a Python pickle, which is a program that runs when it is loaded: such a file is recognised,
 * refused and never interpreted.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import type { VmId } from '../domain/ids.js';
import type { Vm } from '../domain/vm.js';
import { elapsedSec } from '../domain/vm-record.js';
import { packageRoot } from '../util/package-root.js';

export interface SavedVm {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly vmId: VmId;
  readonly name: string;
  readonly savedAt: string;
  readonly elapsedSec: number;
  readonly timeOffsetSec?: number;
  readonly balloonTargetKiB?: number;
  readonly guest: Pick<Vm['guest'], 'username' | 'guestIPs' | 'guestFQDN'>;
  readonly xml: string;
}

const FORMAT = 'vdsm-agent saved VM';
/** Domain XML is 4 MiB at most on libvirt's wire; escaping may double it. */
export const MAX_SAVED_VM_BYTES = 16 << 20;
/** First byte of every pickle since its protocol 2. */
const PICKLE = 0x80;

/** @param wallMs wall clock, epoch ms */
export function savedVm(vm: Vm, xml: string, wallMs: number): SavedVm {
  const { username, guestIPs, guestFQDN } = vm.guest;
  return {
    format: FORMAT,
    version: 1,
    vmId: vm.id,
    name: vm.name,
    savedAt: new Date(wallMs).toISOString(),
    elapsedSec: elapsedSec(vm, wallMs),
    ...(vm.timeOffsetSec !== undefined && { timeOffsetSec: vm.timeOffsetSec }),
    ...(vm.balloonTargetKiB !== undefined && { balloonTargetKiB: vm.balloonTargetKiB }),
    guest: { username, guestIPs, guestFQDN },
    xml,
  };
}

export function savedVmText(saved: SavedVm): string {
  return `${JSON.stringify(saved, null, 2)}\n`;
}

/** @throws Error whose message says what is wrong with the file, as the end of a sentence that names it */
export function parseSavedVm(content: Buffer): SavedVm {
  if (content[0] === PICKLE) {
    throw new Error(
      'is a Python pickle as VDSM writes it: this agent cannot wake up VMs that VDSM has put to sleep',
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(content.toString('utf8'));
  } catch (error) {
    throw new Error('is not JSON, so VM.hibernate of this agent has not written it', { cause: error });
  }
  const { format, version } = (value ?? {}) as { readonly format?: unknown; readonly version?: unknown };
  if (format !== FORMAT) throw new Error('is no file that VM.hibernate of this agent has written');
  if (version !== 1) {
    const text = typeof version === 'number' ? String(version) : 'unknown';
    throw new Error(`has the version ${text} of its format; this agent reads version 1`);
  }
  const validate = validator();
  if (!validate(value)) {
    const [fault] = validate.errors ?? [];
    throw new Error(`is damaged: ${(fault?.instancePath ?? '') || 'it'} ${fault?.message ?? 'is not valid'}`);
  }
  return value as SavedVm;
}

let compiled: ValidateFunction | undefined;

/** Compiled at its first use, which most agents never see. */
function validator(): ValidateFunction {
  compiled ??= new Ajv({ strict: true }).compile(
    JSON.parse(readFileSync(join(packageRoot, 'schema', 'saved-vm.json'), 'utf8')) as object,
  );
  return compiled;
}
