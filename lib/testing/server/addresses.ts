import { BlockList, isIPv6 } from 'node:net';

/** Whether an address is in one of the networks (`10.0.0.0/8`, or a single address). */
export function inNetworks(address: string, networks: readonly string[]): boolean {
  const blocks = new BlockList();
  for (const network of networks) {
    const [base = '', bits] = network.split('/');
    const family = isIPv6(base) ? 'ipv6' : 'ipv4';
    blocks.addSubnet(base, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
