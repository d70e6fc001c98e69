/**
 * From a connected socket to an open hypervisor: authentication, keepalive, CONNECT_OPEN, in libvirt's own order.
 * AUTH_LIST must come first: where a policy is configured, anything else before it is refused even to root.
 */
import { HypervisorError } from '../domain/hypervisor.js';
import { Feature } from './enumerations.js';
import { LibvirtError } from './errors.js';
import type { TypedCall } from './procedures.js';

/** Answers of AUTH_LIST. */
export const AuthType = { none: 0, sasl: 1, polkit: 2 } as const;

/** CONNECT_OPEN's flag. */
export const OPEN_READ_ONLY = 1;

/** @throws HypervisorError 'denied' where authentication fails, 'unsupported' where only SASL is offered */
export async function handshake(call: TypedCall, name: string, readOnly: boolean): Promise<void> {
  const { types } = await call('AUTH_LIST', undefined);
  await authenticate(call, types);
  await call('CONNECT_SUPPORTS_FEATURE', { feature: Feature.keepalive });
  await call('CONNECT_OPEN', { name, flags: readOnly ? OPEN_READ_ONLY : 0 });
}

async function authenticate(call: TypedCall, types: readonly number[]): Promise<void> {
  if (types.length === 0 || types.includes(AuthType.none)) return;
  if (types.includes(AuthType.polkit)) {
    await askPolkit(call);
    return;
  }
  const asked = types.includes(AuthType.sasl) ? 'SASL' : `of type ${types.join(', ')}`;
  throw new HypervisorError(
    'unsupported',
    `libvirt asks for authentication ${asked}, which is not supported: set auth_unix_rw to "none" or "polkit" in ` +
      'libvirtd.conf (virtqemud.conf), or give a socket that is configured so',
  );
}

/** Whatever the daemon answers but "complete" is a refusal, also an internal error because polkit is not running. */
async function askPolkit(call: TypedCall): Promise<void> {
  try {
    const { complete } = await call('AUTH_POLKIT', undefined);
    if (complete === 1) return;
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    throw new HypervisorError('denied', `polkit did not grant access: ${error.message}`, { cause: error });
  }
  throw new HypervisorError('denied', 'polkit did not grant access');
}
