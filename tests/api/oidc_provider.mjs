// A real OpenID provider (npm oidc-provider) for the tests. It says on standard output where it listens and takes
// orders, one JSON object a line, on standard input: {"order": "rotate"} gives it another signing key.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const people = given.people;

function key() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

let current;
const server = createServer((request, response) => current(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const build = () => {
    const provider = new Provider(issuer, {
      jwks: { keys: [key()] },
      clients: given.clients,
      cookies: { keys: ['a', 'b'] },
      claims: { openid: ['sub'], profile: ['preferred_username', 'groups', 'sites', 'org'], email: ['email', 'email_verified'] },
      features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
      pkce: { required: () => true },
      ttl: { IdToken: given.idTokenSeconds ?? 3600 },
      renderError(ctx, out) {
        ctx.type = 'json';
        ctx.body = out;
      },
      findAccount: (ctx, sub) =>
        people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) },
    });
    current = provider.callback();
  };
  build();
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { order } = JSON.parse(line);
    if (order === 'rotate') build();
    console.log(JSON.stringify({ done: order }));
  });
  console.log(JSON.stringify({ issuer }));
});
process.stdin.on('end', () => process.exit(0));
