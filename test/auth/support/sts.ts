import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';
/** Milliseconds for which a signature is valid. */
const VALID = 15 * 60_000;

/** An STS that knows some keys. It verifies signatures, and their time, as AWS does. */
export class Sts {
  static readonly accessKeyId = 'AKIAIOSFODNN7EXAMPLE';
  /** Secret access keys that it accepts. */
  readonly secrets = new Set<string>();
  /** The name of the IAM role whose session has signed. */
  principal = 'app';

  get arn(): string {
    return `arn:aws:sts::123456789012:assumed-role/${this.principal}/session`;
  }

  /** The caller of a signed request; undefined if STS refuses it. */
  readonly caller = async (
    headers: Readonly<Record<string, string>>,
    now: number,
  ): Promise<{ arn: string } | undefined> => {
    const { authorization = '', 'x-amz-date': date = '' } = headers;
    const signed = new Date(date.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5'));
    if (!(Math.abs(now - signed.getTime()) < VALID)) return undefined;
    const [, region = '', names = ''] =
      /Credential=[^/]+\/\d+\/([^/]+)\/sts\/.*SignedHeaders=([^,]*)/.exec(authorization) ?? [];
    for (const secretAccessKey of this.secrets) {
      const signer = new SignatureV4({
        credentials: { accessKeyId: Sts.accessKeyId, secretAccessKey },
        region,
        service: 'sts',
        sha256: Sha256,
        applyChecksum: false,
      });
      const host = headers['host'] ?? '';
      const only = names.split(';').map((name) => [name, headers[name] ?? '']);
      const request = { method: 'POST', protocol: 'https:', hostname: host, path: '/', body: BODY };
      const again = await signer.sign(
        { ...request, headers: Object.fromEntries(only) },
        { signingDate: signed },
      );
      if (again.headers['authorization'] === authorization) return { arn: this.arn };
    }
    return undefined;
  };

  /** The same over HTTP, for the `sts_endpoint` of a real server. */
  async listen(): Promise<{ address: string; close: () => Promise<void> }> {
    const server = createServer((request, response) => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      void this.caller(headers, Date.now()).then((found) => {
        response.writeHead(found ? 200 : 403, { 'content-type': 'text/xml' });
        response.end(
          found
            ? '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>' +
                `<Arn>${found.arn}</Arn><UserId>AROAEXAMPLE:session</UserId><Account>123456789012</Account>` +
                '</GetCallerIdentityResult></GetCallerIdentityResponse>'
            : '<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>',
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      close: async () => {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    };
  }
}
