import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeReal } from '../support/real-servers.js';
import { Cluster, container, manifest } from './environments.js';
import { Company, readSample, sampleFile } from './world.js';

const files = readdirSync(sampleFile('18-kubernetes')).filter((name) => name.endsWith('.yaml'));
const pod = manifest('deployment').spec.template.spec;
const variables: Record<string, string> = Object.fromEntries(
  container().env.map(({ name, value }: { name: string; value: string }) => [name, value]),
);
const validator = process.env['KUBERNETES_VALIDATE'];

describe('the manifests', () => {
  it.skipIf(validator === undefined)('have the schemas of the API, strictly', () => {
    const args = ['--strict', ...files.map((name) => sampleFile(`18-kubernetes/${name}`))];
    const { status, stdout, stderr } = spawnSync(String(validator), args, { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0 });
  });

  it('agree on service account, audience and the paths of token and authority', () => {
    const setUp = readSample('18-kubernetes/set-up.sh');
    const { name, namespace } = manifest('service-account').metadata;
    expect(pod.serviceAccountName).toBe(name);
    expect(setUp).toContain(
      `bound_service_account_names=${name} bound_service_account_namespaces=${namespace} `,
    );
    expect(manifest('token-review').subjects).toEqual([{ kind: 'ServiceAccount', name, namespace }]);
    const [token, ca] = pod.volumes;
    const { audience, path } = token.projected.sources[0].serviceAccountToken;
    expect(setUp).toContain(`audience=${audience} `);
    expect(readSample('15-local/src/vault.options.ts')).toContain(`audience: '${audience}'`);
    const mounts: { name: string; mountPath: string }[] = container().volumeMounts;
    const mountOf = (volume: { name: string }) => mounts.find((one) => one.name === volume.name)?.mountPath;
    expect(variables['SERVICE_ACCOUNT_TOKEN_FILE']).toBe(`${mountOf(token)}/${path}`);
    const [key] = Object.keys(manifest('config-map').data);
    expect(ca.configMap.name).toBe(manifest('config-map').metadata.name);
    expect(variables['VAULT_CACERT']).toBe(`${mountOf(ca)}/${key}`);
    // Files below subPath never change.
    for (const mount of mounts) expect(mount).not.toHaveProperty('subPath');
    expect([
      pod.automountServiceAccountToken,
      manifest('service-account').automountServiceAccountToken,
    ]).toEqual([false, false]);
  });

  it('give a pod the time of preStop, of its requests and of the shutdown', () => {
    const { preStop } = container().lifecycle;
    // `shutdown.timeout` is 5 s.
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop.sleep.seconds + 5 + 10);
    expect(container().command).toEqual(['node', 'dist/main.js']);
  });

  it('let it reach the server, the database and DNS alone', () => {
    const { egress, ingress } = manifest('network-policy').spec;
    const ports = egress.flatMap((one: { ports: { port: number }[] }) => one.ports.map(({ port }) => port));
    const vault = Number(new URL(variables['VAULT_ADDR'] ?? '').port);
    expect(ports).toEqual([vault, Number(variables['PGPORT']), 53, 53]);
    expect(ingress[0].ports[0].port).toBe(container().ports[0].name);
    expect(String(container().ports[0].containerPort)).toBe(variables['PORT']);
  });
});

describeReal('a pod', () => {
  let company: Company;
  let cluster: Cluster;
  beforeAll(async () => {
    company = await Company.start();
    cluster = await Cluster.start(company);
  });
  afterAll(async () => {
    await company?.stop();
    await cluster?.end();
  });

  it('starts with the variables of the manifest, answers its probes, and ends in its time', async () => {
    const app = await company.application(cluster.env);
    const { startupProbe, readinessProbe, livenessProbe } = container();
    for (const { httpGet } of [startupProbe, readinessProbe, livenessProbe])
      expect((await fetch(`${app.url}${httpGet.path}`)).status).toBe(200);
    expect(await company.users()).toHaveLength(1);
    const at = performance.now();
    expect(await app.end('SIGTERM')).toMatchObject({ code: 0 });
    expect(performance.now() - at).toBeLessThan(pod.terminationGracePeriodSeconds * 1_000);
    await company.noUserIsLeft();
  });

  it('of another service account is refused, and shows the claims of the token, not the token', async () => {
    cluster.mountToken('another');
    const pod = company.run(process.execPath, ['dist/main.js'], { ...cluster.env, PORT: '0' });
    const { code, output } = await pod.ended;
    expect(code).not.toBe(0);
    expect(output).toContain('VAULT_LOGIN_DENIED');
    expect(output).toContain('system:serviceaccount:shop:another');
    expect(output).not.toMatch(/eyJ[\w-]{20,}/);
    cluster.mountToken();
    await company.noUserIsLeft();
  });
});
