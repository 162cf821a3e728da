import { backendContract } from '../support/backend-contract.js';
import { needs } from '../support/needs.js';
import { opendhtBench } from '../support/opendht-bench.js';

// Nobody can take a value back before the nodes forget it.
if (needs('dhtnode')) backendContract('opendht', () => opendhtBench(), ['deletion', 'plain letters']);
