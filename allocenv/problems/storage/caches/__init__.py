"""Classic cache-replacement policies over numbered pages: which page leaves when another comes in?"""

from allocenv.problems.storage.caches.belady import NEVER as NEVER
from allocenv.problems.storage.caches.belady import next_uses as next_uses
from allocenv.problems.storage.caches.dispatch import access as access
from allocenv.problems.storage.caches.dispatch import access_knowing as access_knowing
from allocenv.problems.storage.caches.dispatch import contains as contains
from allocenv.problems.storage.caches.dispatch import count_misses as count_misses
from allocenv.problems.storage.caches.state import ADMITTED as ADMITTED
from allocenv.problems.storage.caches.state import CACHES as CACHES
from allocenv.problems.storage.caches.state import HIT as HIT
from allocenv.problems.storage.caches.state import Cache as Cache
from allocenv.problems.storage.caches.state import new_cache as new_cache
