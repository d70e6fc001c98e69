/**
 * The table of verbs with its types: which verbs exist, what each takes and answers.
 *
 * Names and types come from schema/verbs/ by way of schema-types.ts. A handler table typed as VerbHandlers
 * lacks no verb and answers the right shape, or it does not compile.
 */
import type { VmId } from '../domain/ids.js';
import { verbsSchema, type VerbSpec } from './schema.js';
import type { VerbTypes } from './schema-types.js';

export type VerbName = keyof VerbTypes;
/** What a caller sends: defaults may be left out. */
export type VerbParams<V extends VerbName> = VerbTypes[V]['params'];
/** What a handler gets: validated, defaults filled in. */
export type VerbInput<V extends VerbName> = VerbTypes[V]['input'];
export type VerbResult<V extends VerbName> = VerbTypes[V]['result'];

/**
 * One handler per verb of `Names`. `Context` is what the server passes with each call, `Encoded` its type for
 * results that are JSON text already.
 */
export type VerbHandlers<Context, Encoded = never, Names extends VerbName = VerbName> = {
  readonly [V in Names]: (
    params: VerbInput<V>,
    context: Context,
  ) => VerbResult<V> | Encoded | Promise<VerbResult<V> | Encoded>;
};

/** Verbs of one namespace, e.g. VerbsOf<'Host'>. */
export type VerbsOf<Namespace extends string> = Extract<VerbName, `${Namespace}.${string}`>;

/** Verbs on one VM, which `vmID` names. */
export type VmVerbName = {
  [V in VerbName]: VerbInput<V> extends { readonly vmID: string } ? V : never;
}[VerbName];

/**
 * What verbs do to one VM, by verb. The id is a VM's id in form, and the input is validated; whether there is such a VM
 * is for the verb to find out.
 */
export type VmVerbTable<Names extends VmVerbName> = {
  readonly [V in Names]: (id: VmId, input: VerbInput<V>) => VerbResult<V> | Promise<VerbResult<V>>;
};

export const verbSpecs = verbsSchema.verbs as Readonly<Record<VerbName, VerbSpec>>;
export const verbNames = Object.keys(verbSpecs) as readonly VerbName[];

export function isVerbName(name: string): name is VerbName {
  return Object.hasOwn(verbSpecs, name);
}
