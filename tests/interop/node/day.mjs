// A working day of a client: named steps, each with what it saw or how it failed; a step may use what earlier ones kept.
import { readFileSync } from 'node:fs';

export const asked = JSON.parse(readFileSync(0, 'utf8'));
const saw = {};

export async function step(name, act) {
  try {
    saw[name] = await act();
  } catch (error) {
    saw[name] = `failed: ${error.response?.status ?? ''} ${error.message}`;
  }
}

// What a call is refused with, as `tell` says it; "taken" when it is not refused.
export const refusal = (call, tell) => call.then(() => 'taken', tell);

export const end = () => process.stdout.write(JSON.stringify(saw));

export const patient = (value, family) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:interop:mrn', value }],
  name: [{ family, given: ['Ana'] }],
});

// A person once, and an order for them; the order's reference is to be resolved by the server.
export const order = (value) => ({
  resourceType: 'Bundle',
  type: 'transaction',
  entry: [
    {
      fullUrl: 'urn:uuid:0b2f6a52-3d0e-4a44-9f41-6f1f6c1b7a01',
      resource: patient(value, 'Bundled'),
      request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=urn:interop:mrn|${value}` },
    },
    {
      fullUrl: 'urn:uuid:0b2f6a52-3d0e-4a44-9f41-6f1f6c1b7a02',
      resource: {
        resourceType: 'ServiceRequest',
        status: 'active',
        intent: 'order',
        subject: { reference: 'urn:uuid:0b2f6a52-3d0e-4a44-9f41-6f1f6c1b7a01' },
      },
      request: { method: 'POST', url: 'ServiceRequest' },
    },
  ],
});
