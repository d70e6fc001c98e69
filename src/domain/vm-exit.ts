/**
 * Why a VM ended: VDSM's exit codes and reasons (virt/vmexitreason.py), with sentences of our own.
 */
import type { ExitInfo, Vm } from './vm.js';

export const ExitReason = {
  success: 0,
  error: 1,
  lostQemu: 2,
  launchFailed: 3,
  migrated: 4,
  saved: 5,
  adminShutdown: 6,
  userShutdown: 7,
  migrationFailed: 8,
  domainMissing: 9,
  destroyedOnStart: 10,
  hostShutdown: 11,
  postcopyFailed: 12,
  destroyedOnReboot: 13,
  destroyedOnPauseTimeout: 14,
} as const;
export type ExitReasonNumber = (typeof ExitReason)[keyof typeof ExitReason];

export const exitMessages: Readonly<Record<ExitReasonNumber, string>> = {
  0: 'The VM ended normally',
  1: 'The VM ended with an error',
  2: 'The QEMU process of the VM ended unexpectedly',
  3: 'libvirt could not start the VM',
  4: 'The VM was migrated to another host',
  5: 'The memory of the VM was saved',
  6: 'The VM was shut down by an administrator',
  7: 'The VM was shut down from within the guest',
  8: 'The migration of the VM failed',
  9: 'The domain of the VM is no longer known to libvirt',
  10: 'The VM was destroyed while it was being started',
  11: 'The VM was ended by the host',
  12: 'The post-copy phase of the migration failed, the memory of the VM is lost',
  13: 'The VM was destroyed because it rebooted and was set to be destroyed then',
  14: 'The VM was destroyed because it had been paused for too long',
};

/** Rule of a transition to Down. */
export interface ExitOf {
  /** A remembered cause (a shutdown begun, a destroy ordered) goes before this one. */
  readonly remembered: boolean;
  readonly exit: ExitInfo;
  /** In place of `exit` while the VM is the target of a migration. */
  readonly incoming?: ExitInfo;
  /** Said before the message of the cause. */
  readonly prefix?: string;
}

/** @param code 0 normal, 1 error: what an engine's restart policy goes by */
export function exitOf(code: 0 | 1, reason: ExitReasonNumber): ExitInfo {
  return { code, reason, message: exitMessages[reason] };
}

/** The exit record of a VM that goes Down by a rule. */
export function exitInfo(
  state: Pick<Vm, 'internal' | 'pendingExit'>,
  rule: ExitOf | undefined,
  message?: string,
): ExitInfo {
  if (rule === undefined) return exitOf(1, ExitReason.error);
  if (rule.remembered && state.pendingExit) return state.pendingExit;
  const exit = (state.internal === 'Migration Destination' ? rule.incoming : undefined) ?? rule.exit;
  if (message === undefined) return exit;
  return { ...exit, message: `${rule.prefix ?? ''}${message}` };
}
