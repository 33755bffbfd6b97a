/** What an overlay says. */

import { speak } from '../shared/language';
import { EN, ZH } from '../shared/words';

export const { t, tOr } = speak(EN, ZH);
