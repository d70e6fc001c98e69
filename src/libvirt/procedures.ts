/**
 * The table of procedures: number, argument codec, result codec, priority, by libvirt's name without REMOTE_PROC_.
 * Adding one is one row in the file of its family.
 */
import type { CallOptions } from '../domain/hypervisor.js';
import type { ArgsOf, Procedure, ResultOf } from './procedure.js';
import { findProcedures, statsProcedures, tuningProcedures } from './procedures-domain.js';
import { hostProcedures } from './procedures-host.js';
import {
  deviceProcedures,
  jobProcedures,
  lifecycleProcedures,
  qemuProcedures,
  storageProcedures,
} from './procedures-lifecycle.js';

export const procedures = {
  ...hostProcedures,
  ...findProcedures,
  ...statsProcedures,
  ...tuningProcedures,
  ...lifecycleProcedures,
  ...deviceProcedures,
  ...storageProcedures,
  ...jobProcedures,
  ...qemuProcedures,
} as const;

export type ProcedureName = keyof typeof procedures;
export type Args<N extends ProcedureName> = ArgsOf<(typeof procedures)[N]>;
export type Result<N extends ProcedureName> = ResultOf<(typeof procedures)[N]>;

/** A row without its types, for generic code. */
export function procedure(name: ProcedureName): Procedure {
  return procedures[name];
}

/** How a procedure is called, whoever carries it: a connection, a lane, the public client. */
export type TypedCall = <N extends ProcedureName>(
  name: N,
  args: Args<N>,
  options?: CallOptions,
) => Promise<Result<N>>;
