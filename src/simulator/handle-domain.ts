/**
 * Handlers that find, describe and change domains.
 */
import { MAX_DOMAINS } from '../libvirt/objects.js';
import type { DomainHandle } from '../libvirt/objects.js';
import type { Call, Handlers } from './call.js';
import { escapeXml } from './domain-xml.js';
import { parseMetadataElement } from './domain-parse.js';
import type { SimulatedDomain } from './domain.js';
import { passesFilter } from './domain-filter.js';
import { Fault } from './fault.js';

const XML_INACTIVE = 2;
const AFFECT_LIVE = 1;
const CREATE_PAUSED = 1;
const CREATE_AUTODESTROY = 2;
const MEMORY_MAXIMUM = 4;
/** How long libvirt tries before it kills a QEMU that does not answer, as measured. */
const DESTROY_STUCK_MS = 11_500;

function handle({ name, uuid, id }: SimulatedDomain): DomainHandle {
  return { name, uuid, id };
}

function found(domain: SimulatedDomain | undefined, detail: string): { dom: DomainHandle } {
  if (!domain) throw new Fault('no-domain', detail);
  return { dom: handle(domain) };
}

function start(call: Call, dom: DomainHandle, flags: number): SimulatedDomain {
  const domain = call.domain(dom);
  call.host.lifecycle.start(domain, (flags & CREATE_PAUSED) !== 0);
  if ((flags & CREATE_AUTODESTROY) !== 0) call.session.ownDomain(domain);
  return domain;
}

function destroy(call: Call, dom: DomainHandle): void | Promise<void> {
  const domain = call.activeDomain(dom);
  const { lifecycle } = call.host;
  if (!domain.monitor.hung) {
    lifecycle.destroy(domain, false);
    return;
  }
  return call.delay(DESTROY_STUCK_MS).then(() => lifecycle.destroy(domain, domain.monitor.hung));
}

/** Runs a change of a running domain through its monitor. */
function control(
  call: Call,
  dom: DomainHandle,
  action: (domain: SimulatedDomain) => void,
): void | Promise<void> {
  const domain = call.activeDomain(dom);
  return call.withMonitor(domain, () => action(domain));
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
    return { xml: call.host.xml(call.domain(dom), (flags & XML_INACTIVE) !== 0) };
  },
  DOMAIN_IS_ACTIVE: (call, { dom }) => ({ active: call.domain(dom).active ? 1 : 0 }),
  DOMAIN_IS_PERSISTENT: (call, { dom }) => ({ persistent: call.domain(dom).persistent ? 1 : 0 }),
  DOMAIN_GET_OS_TYPE(call, { dom }) {
    call.domain(dom);
    return { type: 'hvm' };
  },
  DOMAIN_GET_AUTOSTART: (call, { dom }) => ({ autostart: call.domain(dom).autostart ? 1 : 0 }),
  DOMAIN_SET_AUTOSTART(call, { dom, autostart }) {
    call.domain(dom).autostart = autostart !== 0;
  },
  DOMAIN_GET_MAX_MEMORY: (call, { dom }) => ({ memory: call.domain(dom).config.memoryKiB }),
  DOMAIN_GET_MAX_VCPUS: (call, { dom }) => ({ num: call.domain(dom).config.maxVcpus }),
  DOMAIN_HAS_MANAGED_SAVE_IMAGE(call, { dom }) {
    call.domain(dom);
    return { result: 0 };
  },
} as const satisfies Handlers;

export const lifecycleHandlers = {
  DOMAIN_DEFINE_XML: ({ host }, { xml }) => ({ dom: handle(host.define(xml)) }),
  DOMAIN_DEFINE_XML_FLAGS: ({ host }, { xml }) => ({ dom: handle(host.define(xml)) }),
  DOMAIN_UNDEFINE: (call, { dom }) => call.host.undefine(call.domain(dom)),
  DOMAIN_UNDEFINE_FLAGS: (call, { dom }) => call.host.undefine(call.domain(dom)),
  DOMAIN_CREATE(call, { dom }) {
    start(call, dom, 0);
  },
  DOMAIN_CREATE_WITH_FLAGS: (call, { dom, flags }) => ({ dom: handle(start(call, dom, flags)) }),
  DOMAIN_CREATE_XML(call, { xml, flags }) {
    const domain = call.host.createXml(xml, (flags & CREATE_PAUSED) !== 0);
    if ((flags & CREATE_AUTODESTROY) !== 0) call.session.ownDomain(domain);
    return { dom: handle(domain) };
  },
  DOMAIN_DESTROY: (call, { dom }) => destroy(call, dom),
  DOMAIN_DESTROY_FLAGS: (call, { dom }) => destroy(call, dom),
  DOMAIN_SUSPEND: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.suspend(domain)),
  DOMAIN_RESUME: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.resume(domain)),
  DOMAIN_SHUTDOWN: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.shutdown(domain)),
  DOMAIN_SHUTDOWN_FLAGS: (call, { dom }) =>
    control(call, dom, (domain) => call.host.lifecycle.shutdown(domain)),
  DOMAIN_REBOOT: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.reboot(domain)),
  DOMAIN_RESET: (call, { dom }) => control(call, dom, (domain) => call.host.lifecycle.reset(domain)),
  DOMAIN_SET_MEMORY_STATS_PERIOD(call, { dom, period: balloonPeriodSec, flags }) {
    if (balloonPeriodSec < 0) {
      throw new Fault('invalid-argument', 'period in virDomainSetMemoryStatsPeriod must be zero or greater');
    }
    const domain = (flags & AFFECT_LIVE) === 0 ? call.domain(dom) : call.activeDomain(dom);
    if (domain.config.balloonPeriodSec === undefined) {
      throw new Fault('internal', 'No memory balloon device configured, can not set the collection period');
    }
    return call.withMonitor(domain, () => call.host.configure(domain, { balloonPeriodSec }));
  },
  DOMAIN_SET_MEMORY_FLAGS(call, { dom, memory, flags }) {
    const domain = call.domain(dom);
    const maximum = (flags & MEMORY_MAXIMUM) !== 0;
    if (maximum && domain.active) {
      throw new Fault('invalid-state', 'cannot resize the maximum memory on an active domain');
    }
    if (!maximum && memory > domain.config.memoryKiB) {
      throw new Fault('invalid-argument', 'cannot set memory higher than max memory');
    }
    const change = maximum ? { memoryKiB: memory } : { currentMemoryKiB: memory };
    return call.withMonitor(domain, () => call.host.configure(domain, change));
  },
} as const satisfies Handlers;

const MetadataType = { description: 0, title: 1, element: 2 } as const;

export const metadataHandlers = {
  DOMAIN_GET_METADATA(call, { dom, type, uri }) {
    const { config } = call.domain(dom);
    const text =
      type === MetadataType.description
        ? config.description
        : type === MetadataType.title
          ? config.title
          : config.metadata.get(uri ?? '')?.xml;
    if (text === undefined) throw new Fault('no-metadata', 'Requested metadata element is not present');
    return { metadata: text };
  },
  DOMAIN_SET_METADATA(call, { dom, type, metadata, key, uri }) {
    const domain = call.domain(dom);
    if (type === MetadataType.element) setElement(domain, { metadata, key, uri });
    else domain.config = withText(domain, type === MetadataType.title ? 'title' : 'description', metadata);
    call.host.metadataChanged(domain, type, type === MetadataType.element ? uri : undefined);
  },
} as const satisfies Handlers;

function setElement(
  domain: SimulatedDomain,
  change: { metadata: string | undefined; key: string | undefined; uri: string | undefined },
): void {
  const { metadata, key, uri } = change;
  if (uri === undefined || (metadata !== undefined && key === undefined)) {
    throw new Fault('invalid-argument', 'a metadata element needs key and uri');
  }
  const elements = new Map(domain.config.metadata);
  if (metadata === undefined || key === undefined) elements.delete(uri);
  else elements.set(uri, parseMetadataElement(metadata, escapeXml(key)));
  domain.config = { ...domain.config, metadata: elements };
}

function withText(domain: SimulatedDomain, name: 'title' | 'description', text: string | undefined) {
  const { [name]: _old, ...others } = domain.config;
  return text === undefined || text === '' ? others : { ...others, [name]: text };
}
