/**
 * Handlers that find, describe and define domains.
 */
import { XmlFlag } from '../libvirt/enumerations.js';
import { MAX_DOMAINS } from '../libvirt/objects.js';
import type { DomainHandle } from '../libvirt/objects.js';
import type { Handlers } from './call.js';
import type { SimulatedDomain } from './domain.js';
import { passesFilter } from './domain-filter.js';
import { Fault } from './fault.js';
import { handle } from './handle-power.js';

function found(domain: SimulatedDomain | undefined, detail: string): { dom: DomainHandle } {
  if (!domain) throw new Fault('no-domain', detail);
  return { dom: handle(domain) };
}

export const findHandlers = {
  CONNECT_LIST_ALL_DOMAINS({ host }, { needResults, flags }) {
    const domains = [...host.domains].filter((domain) => passesFilter(domain, flags));
    if (needResults === 0) return { domains: [], ret: domains.length };
    if (domains.length > MAX_DOMAINS) {
      throw new Fault('rpc', `too many remote domains: ${domains.length} > ${MAX_DOMAINS}`);
    }
    return { domains: domains.map(handle), ret: domains.length };
  },
  DOMAIN_LOOKUP_BY_UUID: ({ host }, { uuid }) =>
    found(host.find(uuid), `no domain with matching uuid '${uuid}'`),
  DOMAIN_LOOKUP_BY_NAME: ({ host }, { name }) =>
    found(host.findByName(name), `no domain with matching name '${name}'`),
  DOMAIN_LOOKUP_BY_ID({ host }, { id }) {
    const domain = [...host.domains].find((candidate) => candidate.active && candidate.id === id);
    return found(domain, `no domain with matching id ${id}`);
  },
  DOMAIN_GET_XML_DESC(call, { dom, flags }) {
    const secure = (flags & XmlFlag.secure) !== 0;
    if (secure && call.session.readOnly) throw new Fault('denied', 'virDomainGetXMLDesc with secure flag');
    return { xml: call.host.xml(call.domain(dom), (flags & XmlFlag.inactive) !== 0, secure) };
  },
  DOMAIN_IS_ACTIVE: (call, { dom }) => ({ active: call.domain(dom).active ? 1 : 0 }),
  DOMAIN_IS_PERSISTENT: (call, { dom }) => ({ persistent: call.domain(dom).persistent ? 1 : 0 }),
  DOMAIN_GET_OS_TYPE(call, { dom }) {
    call.domain(dom);
    return { type: 'hvm' };
  },
  DOMAIN_GET_AUTOSTART: (call, { dom }) => ({ autostart: call.domain(dom).autostart ? 1 : 0 }),
  DOMAIN_GET_MAX_MEMORY: (call, { dom }) => ({ memory: call.domain(dom).config.memoryKiB }),
  DOMAIN_GET_MAX_VCPUS: (call, { dom }) => ({ num: call.domain(dom).config.maxVcpus }),
  DOMAIN_HAS_MANAGED_SAVE_IMAGE(call, { dom }) {
    call.domain(dom);
    return { result: 0 };
  },
} as const satisfies Handlers;

export const definitionHandlers = {
  DOMAIN_DEFINE_XML: ({ host }, { xml }) => ({ dom: handle(host.define(xml)) }),
  DOMAIN_DEFINE_XML_FLAGS: ({ host }, { xml }) => ({ dom: handle(host.define(xml)) }),
  DOMAIN_UNDEFINE: (call, { dom }) => call.host.undefine(call.domain(dom)),
  DOMAIN_UNDEFINE_FLAGS: (call, { dom }) => call.host.undefine(call.domain(dom)),
  DOMAIN_SET_AUTOSTART(call, { dom, autostart }) {
    call.domain(dom).autostart = autostart !== 0;
  },
} as const satisfies Handlers;
