"""What can go wrong, and which tests try it.

F is for faults of machines and networks, T for what people could do on purpose. A test that was
written for a case has its number in its name. `docs/concepts/faults.md` shows this as a table.
"""

from __future__ import annotations

from dataclasses import dataclass

_ANSWERS = "tests/integration/test_bad_answers.py"
_STORES = "tests/integration/test_bad_stores.py"
_PROCESSES = "tests/integration/test_processes.py"
_PUSHES = "tests/integration/test_push_to_stores.py"
_ON_S3 = "tests/integration/test_catalog_on_s3.py"
_MEMORY = "tests/integration/test_memory_and_growth.py"
_SECRETS = "tests/integration/test_secrets.py"
_SUMS = "tests/integration/test_stored_sums_on_s3.py"
_CACHE = "tests/unit/adapters/cache"
_MANIFEST = "tests/unit/manifest"
_CONTRACTS = "src/datacachalog/testing"
_FAULTS = "tests/faults"
_OWNERS = f"{_FAULTS}/test_owners.py"
_REGISTRY = "tests/integration/registry"


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong; `unless` says why no test tries it, or what is not promised."""

    title: str
    tests: tuple[str, ...] = ()
    unless: str = ""


def _case(title: str, *tests: str, unless: str = "") -> Case:
    return Case(title, tests, unless)


CASES: dict[str, Case] = {
    "F01": _case(
        "killed at any call to the file system, in a first fetch",
        f"{_FAULTS}/test_kills.py::test_f01_one_that_is_killed_in_a_cold_fetch_leaves_nothing_or_all",
        f"{_PROCESSES}::test_one_that_is_killed_in_a_download_leaves_no_visible_file",
    ),
    "F02": _case(
        "killed at any call, in a refresh or a push",
        f"{_FAULTS}/test_kills.py::test_f02_one_that_is_killed_in_a_refresh_leaves_the_former_copy",
        f"{_FAULTS}/test_kills.py::test_f02_one_that_is_killed_in_a_push_replaces_all_or_nothing",
        f"{_PROCESSES}::test_one_that_is_killed_at_any_moment_leaves_only_whole_entries",
    ),
    "F03": _case(
        "killed at any call, as entries are removed",
        f"{_FAULTS}/test_kills.py::test_f03_one_that_is_killed_as_it_removes_leaves_whole_entries",
    ),
    "F04": _case(
        "Ctrl-C, or the end that a system asks for, in a download",
        f"{_FAULTS}/test_processes.py::test_f04_a_program_that_is_terminated_in_a_download",
        f"{_FAULTS}/test_processes.py::test_f04_an_interrupt_in_a_part_thread_is_raised_where_it_was_asked_for",
        f"{_PROCESSES}::test_ctrl_c_ends_the_command_soon_and_leaves_no_visible_file",
        f"{_PROCESSES}::test_ctrl_c_ends_a_program_after_the_parts_that_are_on_their_way",
    ),
    "F05": _case(
        "the end of a file lost with the power, or a reference",
        f"{_FAULTS}/test_power.py::test_f05_a_copy_whose_end_was_lost_is_fetched_again_after_the_reboot",
        f"{_FAULTS}/test_power.py::test_f05_a_copy_of_a_layer_whose_end_was_lost_comes_into_the_cache_above",
        f"{_FAULTS}/test_power.py::test_f05_an_empty_reference_is_as_if_there_were_none",
        f"{_FAULTS}/test_power.py::test_f05_strict_syncs_bytes_before_names_and_names_before_they_are_told",
        f"{_FAULTS}/test_power.py::test_f05_what_strict_cannot_sync_is_not_handed_out",
        f"{_FAULTS}/test_power.py::test_f05_what_is_whole_is_read_once_after_the_reboot",
        f"{_FAULTS}/test_power.py::test_f05_the_command_fetches_it_again_too",
        f"{_FAULTS}/test_power.py::test_f05_the_others_sync_nothing",
        f"{_FAULTS}/test_power.py::test_f05_one_that_is_killed_as_it_settles_a_copy_leaves_it_whole",
        f"{_FAULTS}/test_processes.py::test_f05_a_file_whose_end_was_lost_with_the_power_is_found_by_reading_it",
        "tests/integration/test_resume.py::test_pages_that_never_reached_the_disk_are_noticed",
        unless="with `durability: none` a fetch does not see it; `catalog verify` does",
    ),
    "F06": _case(
        "no room at the beginning of a download",
        f"{_CACHE}/test_sharing.py::test_a_full_disk_is_told_and_leaves_the_former_copy",
        "tests/unit/application/test_housekeeping.py::test_room_is_made_once_by_removing_what_is_superseded",
        "tests/integration/test_resume.py::test_a_disk_without_room_is_told_before_more_than_one_part_is_fetched",
    ),
    "F07": _case(
        "no room in the middle of a download, or at its last block",
        f"{_FAULTS}/test_processes.py::test_f07_a_disk_that_is_full_at_the_last_block",
        f"{_FAULTS}/test_processes.py::test_f07_a_limit_on_the_size_of_files",
        f"{_CACHE}/test_sharing.py::test_a_disk_too_full_for_a_record_is_told",
    ),
    "F08": _case(
        "a disk that is full, over its quota, broken or read-only at any call",
        f"{_FAULTS}/test_disk.py::test_f08_a_disk_that_fails_at_any_call_of_a_fetch",
        f"{_FAULTS}/test_disk.py::test_f08_a_disk_that_fails_at_any_call_of_a_push",
        f"{_FAULTS}/test_disk.py::test_f08_a_disk_that_fails_at_any_call_of_what_removes",
    ),
    "F09": _case(
        "a system that writes less than it is asked to",
        f"{_FAULTS}/test_disk.py::test_f09_a_system_that_writes_less_than_it_is_asked_to",
    ),
    "F10": _case(
        "too few open files allowed",
        f"{_FAULTS}/test_processes.py::test_f10_a_process_that_may_open_few_files",
    ),
    "F11": _case(
        "a cache that may only be read",
        f"{_CACHE}/test_sharing.py::test_what_is_cached_is_served_and_confirmed",
        f"{_CACHE}/test_sharing.py::test_what_has_to_write_says_that_it_may_not",
    ),
    "F12": _case(
        "a cache that belongs to somebody else",
        f"{_OWNERS}::test_f12_a_cache_of_another_user_is_refused_before_it_is_used",
        f"{_OWNERS}::test_f12_whose_a_cache_may_be",
        f"{_OWNERS}::test_f12_a_cache_that_is_said_to_be_shared_may_be_anybodys",
        f"{_OWNERS}::test_f12_a_layer_may_be_anybodys",
        f"{_OWNERS}::test_f12_a_cache_that_another_user_puts_in_the_place_of_ours_is_refused",
    ),
    "F13": _case(
        "a connection that is cut or reset anywhere",
        f"{_FAULTS}/test_network.py::test_f13_a_connection_that_is_reset_anywhere",
        f"{_ANSWERS}::test_a_later_part_is_taken_up_where_it_was_cut",
    ),
    "F14": _case(
        "a connection that falls silent",
        f"{_FAULTS}/test_network.py::test_f14_a_connection_that_falls_silent_is_made_again",
        f"{_FAULTS}/test_network.py::test_f14_connections_that_all_fall_silent_end_in_an_error",
    ),
    "F15": _case(
        "a connection that is slow, but not dead",
        f"{_FAULTS}/test_network.py::test_f15_a_transfer_that_drips_is_not_cut",
    ),
    "F16": _case(
        "no connection: refused, without an address, lost before the answer",
        f"{_STORES}::test_one_that_refuses_or_has_no_address",
        f"{_STORES}::test_a_connection_that_is_lost_before_the_answer_is_made_again",
        "tests/unit/application/test_unreachable.py::test_an_old_copy_is_served_with_a_warning",
    ),
    "F17": _case(
        "a server that is overloaded for a while, or for ever",
        f"{_STORES}::test_three_refusals_are_waited_out",
        f"{_STORES}::test_refusals_for_ever_end_in_an_error_and_few_requests",
    ),
    "F18": _case(
        "a server that asks for a pause",
        f"{_FAULTS}/test_network.py::test_f18_a_server_that_asks_for_a_pause_is_not_waited_for_for_ever",
        unless="pauses are ours; `Retry-After` is not promised to be heeded",
    ),
    "F19": _case(
        "credentials that expire in a download",
        f"{_STORES}::test_credentials_that_expire_in_a_download",
    ),
    "F20": _case(
        "this machine's clock is too wrong for the server",
        f"{_FAULTS}/test_network.py::test_f20_a_clock_that_is_wrong_is_named",
    ),
    "F21": _case(
        "an object that is replaced in a download",
        f"{_ANSWERS}::test_the_new_revision_is_fetched_instead",
        f"{_ANSWERS}::test_one_that_never_stops_is_an_error",
    ),
    "F22": _case(
        "the same, and the server ignores `If-Match`",
        f"{_ANSWERS}::test_the_new_revision_is_fetched_instead_where_if_match_is_ignored",
        f"{_ANSWERS}::test_one_that_is_cut_is_not_taken_up_with_other_bytes",
    ),
    "F23": _case(
        "other bytes under the same tag and of the same size",
        "tests/unit/application/test_checksums.py::test_other_bytes_are_refused_and_not_kept",
        f"{_CONTRACTS}/entry_contract.py::test_bytes_of_which_a_store_tells_the_same_are_both_kept",
        unless="seen only where a `checksum:` is declared",
    ),
    "F24": _case(
        "parts that are not what was asked for",
        f"{_ANSWERS}::test_a_wrong_content_range_gives_no_wrong_bytes",
        f"{_ANSWERS}::test_other_bytes_than_were_asked_for_are_not_read",
    ),
    "F25": _case(
        "a server that ignores ranges, always or later",
        f"{_ANSWERS}::test_one_that_ignores_ranges_sends_one_stream",
        f"{_ANSWERS}::test_one_that_ignores_ranges_later_gives_no_mixture",
    ),
    "F26": _case(
        "a body of another length than it says",
        f"{_FAULTS}/test_network.py::test_f26_a_body_of_another_length_than_it_says",
        f"{_ANSWERS}::test_a_body_of_another_length_gives_no_wrong_bytes",
    ),
    "F27": _case(
        "a bit that is another on its way",
        f"{_FAULTS}/test_network.py::test_f27_a_bit_that_is_another_is_seen_by_a_declared_checksum",
        f"{_FAULTS}/test_network.py::test_f27_a_bit_that_is_another_is_seen_by_the_stores_checksum",
        f"{_SUMS}::test_a_bit_that_is_another_is_refused_and_nothing_is_kept",
        f"{_SUMS}::test_a_bit_that_was_another_before_a_connection_was_lost_is_found",
        unless="seen where a `checksum:` is declared, where the store has a checksum of an object "
        "of more than 3 MiB, and where TLS is used",
    ),
    "F28": _case(
        "a server that compresses, asked or not",
        f"{_ON_S3}::test_an_encoded_object_is_not_decoded",
        f"{_ON_S3}::test_text_that_a_server_compresses_arrives_as_it_was_written",
    ),
    "F29": _case(
        "tags that are weak, missing or never the same",
        f"{_FAULTS}/test_network.py::test_f29_tags_that_change_with_every_request_end_in_few_of_them",
        f"{_ANSWERS}::test_tags_that_promise_nothing",
        f"{_ANSWERS}::test_one_without_strong_tags_is_not_taken_up_with_other_bytes",
    ),
    "F30": _case(
        "an object that becomes empty, or goes",
        f"{_FAULTS}/test_network.py::test_f30_an_object_that_becomes_empty_and_goes_leaves_the_former_copies",
        f"{_ON_S3}::test_a_deleted_object_is_not_found_and_its_path_stays_readable",
    ),
    "F31": _case(
        "a cached file that is cut, grows or rots",
        f"{_CONTRACTS}/damage_contract.py::test_damage_is_found_by_reading_the_bytes",
        f"{_CONTRACTS}/damage_contract.py::test_a_damaged_entry_is_a_miss",
        unless="what keeps its size and time is found by `catalog verify`, not by a fetch",
    ),
    "F32": _case(
        "a reference that is garbage, huge, a folder or a link",
        f"{_CACHE}/test_odd_files.py::test_an_odd_ref_is_a_miss",
        f"{_CACHE}/test_records.py::test_a_huge_file_is_not_read",
        f"{_CACHE}/test_records.py::test_a_ref_that_makes_no_sense_is_none",
    ),
    "F33": _case(
        "a record that was copied from elsewhere",
        f"{_CACHE}/test_odd_files.py::test_a_record_that_was_copied_from_another_source_is_a_miss",
        f"{_CACHE}/test_odd_files.py::test_a_record_that_was_copied_from_another_revision_is_a_miss",
    ),
    "F34": _case(
        "many that fetch the same at once",
        f"{_PROCESSES}::test_eight_that_fetch_the_same_cold_dataset_download_it_once",
    ),
    "F35": _case(
        "the same where locks do nothing",
        f"{_FAULTS}/test_swarm.py::test_f35_a_swarm_never_sees_wrong_bytes",
    ),
    "F36": _case(
        "one that has the lock and is stopped",
        f"{_FAULTS}/test_processes.py::test_f36_one_that_is_stopped_with_the_lock_holds_others_off_for_so_long",
        f"{_CACHE}/test_housekeeping.py::test_a_remover_that_was_stopped_does_not_stop_readers",
    ),
    "F37": _case(
        "one that has the lock and is killed",
        f"{_FAULTS}/test_processes.py::test_f37_one_that_is_killed_with_the_lock_holds_nobody_off",
        f"{_CACHE}/test_locks.py::test_the_lock_of_a_killed_process_is_free",
    ),
    "F38": _case(
        "one that is slow, and ends after a later one",
        f"{_FAULTS}/test_network.py::test_f38_a_slow_fetch_does_not_bring_back_what_a_later_one_replaced",
        f"{_CONTRACTS}/entry_contract.py::test_a_slow_download_does_not_undo_a_later_one",
    ),
    "F39": _case(
        "an entry that is removed while it is read",
        f"{_CACHE}/test_sharing.py::test_who_has_a_file_open_reads_on_while_the_cache_is_cleared",
        f"{_CONTRACTS}/housekeeping_contract.py::test_a_file_that_is_open_stays_readable",
        f"{_CACHE}/test_housekeeping.py::test_what_a_living_process_has_stays",
    ),
    "F40": _case(
        "a reader that comes as an entry is evicted",
        f"{_CACHE}/test_housekeeping.py::test_a_reader_and_a_remover_never_miss_each_other",
        f"{_CACHE}/test_housekeeping.py::test_what_is_pinned_meanwhile_is_put_back",
    ),
    "F41": _case(
        "what a dead process held, and a number that another process has now",
        f"{_CACHE}/test_sharing.py::test_one_that_a_killed_process_left_goes",
        f"{_CACHE}/test_sharing.py::test_what_nobody_has_written_to_for_a_week_goes",
        f"{_CACHE}/test_housekeeping.py::test_what_a_killed_process_had_goes",
        f"{_CACHE}/test_housekeeping.py::test_a_process_id_that_is_used_again_keeps_nothing",
    ),
    "F42": _case(
        "clocks that jump, here and there",
        f"{_FAULTS}/test_processes.py::test_f42_a_clock_that_was_a_year_off_keeps_nothing_fresh_for_ever",
        f"{_FAULTS}/test_processes.py::test_f42_a_reference_whose_time_was_changed",
        f"{_FAULTS}/test_network.py::test_f42_a_server_whose_clock_is_a_year_off",
    ),
    "F43": _case(
        "a rename that happened and says that it did not",
        f"{_FAULTS}/test_disk.py::test_f43_a_rename_that_happened_and_says_that_it_did_not",
    ),
    "F44": _case(
        "a file that a network file system has forgotten",
        f"{_FAULTS}/test_disk.py::test_f44_a_file_handle_that_the_server_has_forgotten",
    ),
    "F45": _case(
        "a process that is forked after, or in, a fetch",
        f"{_PROCESSES}::test_a_child_of_one_that_has_fetched_gets_the_bytes",
        f"{_PROCESSES}::test_a_child_that_is_forked_in_a_download_neither_hangs_nor_holds_others_off",
    ),
    "F46": _case(
        "two catalogs on one cache",
        f"{_FAULTS}/test_model.py::test_f46_two_catalogs_on_one_cache_answer_as_a_model_does",
        f"{_ON_S3}::test_two_servers_with_the_same_bucket_and_key_never_mix",
    ),
    "F47": _case(
        "names that a file system takes for one, or cannot have",
        f"{_FAULTS}/test_processes.py::test_f47_names_that_a_file_system_might_take_for_one",
        "tests/unit/domain/test_keys.py::test_a_local_name_is_safe_on_any_disk",
    ),
    "F48": _case(
        "an upload whose answer is lost",
        f"{_PUSHES}::test_no_answer_of_a_push_is_missed",
        f"{_PUSHES}::test_an_upload_none_of_whose_answers_came_is_looked_for",
        f"{_PUSHES}::test_what_was_sent_twice_is_known_by_its_bytes",
    ),
    "F49": _case(
        "a server that asks to try a conditional upload again",
        "tests/unit/adapters/storage/test_boto_errors.py::test_an_error_of_boto3_becomes_one_of_the_port",
        unless="it is told as a conflict; who pushes tries again",
    ),
    "F50": _case(
        "a registry that dies before it answers",
        f"{_REGISTRY}/test_kills.py::test_whatever_is_killed_each_registration_is_done_once",
        f"{_REGISTRY}/test_hostile_clients.py::test_who_hangs_up_before_the_answer_may_ask_again",
    ),
    "F51": _case(
        "a registry whose database is locked or full",
        f"{_REGISTRY}/test_outages.py::test_a_database_that_another_program_has_locked_is_told",
        f"{_REGISTRY}/test_outages.py::test_a_database_that_is_gone_is_told_and_used_again_when_it_is_back",
        f"{_REGISTRY}/test_outages.py::test_a_database_that_is_silent_is_told_in_time",
        unless="nothing tries a full disk under the database",
    ),
    "F52": _case(
        "a web page in place of an answer",
        f"{_ANSWERS}::test_one_is_not_taken_for_the_dataset",
        unless="of a store; no client of the registry is there yet",
    ),
    "F53": _case(
        "a huge object, and little memory",
        f"{_FAULTS}/test_processes.py::test_f53_a_process_that_has_little_memory",
        f"{_MEMORY}::test_a_huge_object_takes_little_memory_and_its_digest_is_recorded",
    ),
    "F54": _case(
        "a cache of another format", unless="there is one format so far, in a folder named `v1`"
    ),
    "T01": _case(
        "a name that leads out of the cache",
        f"{_CONTRACTS}/staging_contract.py::test_a_hostile_name_stays_in_the_cache",
        "tests/unit/domain/test_keys.py::test_a_source_key_is_a_safe_file_name",
    ),
    "T02": _case(
        "an object with the name of a record, an option or a device",
        "tests/unit/domain/test_keys.py::test_a_local_name_is_safe_on_any_disk",
    ),
    "T03": _case(
        "links that somebody left in a shared cache",
        f"{_OWNERS}::test_t03_a_link_in_a_cache_is_not_followed",
        f"{_OWNERS}::test_t03_what_is_fetched_next_is_not_read_or_written_through_a_link",
        f"{_OWNERS}::test_t03_a_link_that_leads_nowhere_makes_no_file",
        f"{_OWNERS}::test_t03_a_link_in_the_place_of_a_folder_of_the_cache_is_refused",
        f"{_OWNERS}::test_t03_a_link_of_the_same_size_and_time_is_no_copy",
        "tests/unit/adapters/test_disk.py::test_a_new_file_is_never_a_link_somebody_left",
        f"{_CACHE}/test_locks.py::test_a_link_is_no_lock",
        f"{_CACHE}/test_odd_files.py::test_a_record_that_is_a_link_is_a_miss",
    ),
    "T04": _case(
        "a cache that everybody may write to",
        f"{_OWNERS}::test_t04_a_folder_that_everybody_may_write_to_is_refused",
        f"{_OWNERS}::test_t04_a_folder_that_the_owner_gave_to_a_group_is_not_refused",
        f"{_OWNERS}::test_t04_a_cache_below_a_folder_like_tmp_is_not_refused",
        f"{_OWNERS}::test_t04_one_that_was_made_since_there_was_none_is_looked_at",
        f"{_OWNERS}::test_t04_a_root_that_is_a_link_is_judged_by_where_it_leads",
        f"{_OWNERS}::test_t04_a_layer_that_everybody_may_write_to_is_refused",
        f"{_OWNERS}::test_t04_nothing_is_made_that_everybody_may_write_to",
        f"{_OWNERS}::test_t04_the_environment_says_that_a_cache_is_shared",
        f"{_OWNERS}::test_t04_a_catalog_file_says_that_a_cache_is_shared",
        f"{_OWNERS}::test_t04_what_one_fetched_the_other_has",
        f"{_OWNERS}::test_t04_what_one_confirmed_the_other_need_not_ask_for",
        f"{_OWNERS}::test_t04_what_changed_is_refreshed_and_collected_by_the_other",
        f"{_OWNERS}::test_t04_what_is_damaged_is_repaired_by_the_other",
        f"{_OWNERS}::test_t04_everything_goes_when_one_clears_it",
        f"{_OWNERS}::test_t04_what_a_dead_process_left_goes",
        f"{_OWNERS}::test_t04_what_one_holds_is_not_collected_by_the_other",
        f"{_OWNERS}::test_t04_who_is_not_in_the_group_gets_nothing",
        f"{_OWNERS}::test_t04_modes_are_those_of_a_team",
        f"{_OWNERS}::test_t04_what_one_locked_keeps_the_other_off",
        f"{_OWNERS}::test_t04_a_download_that_was_interrupted_waits_for_its_user",
        unless="a group that may write to the folder is trusted, and anybody with `cache.shared`",
    ),
    "T05": _case(
        "a file that is swapped after it was looked at",
        f"{_OWNERS}::test_t05_a_file_that_is_swapped_after_it_was_looked_at_is_damaged",
        f"{_OWNERS}::test_t05_what_was_opened_is_what_is_hashed",
        unless="by `catalog verify`; who opens a path gets what is there by then",
    ),
    "T06": _case(
        "code in a cache",
        f"{_CACHE}/test_records.py::test_a_record_that_makes_no_sense_is_none",
        f"{_FAULTS}/test_threats.py::test_t06_nothing_is_read_that_could_run",
    ),
    "T07": _case(
        "code or bombs in a catalog",
        f"{_MANIFEST}/test_document.py::test_a_tag_runs_nothing",
        f"{_MANIFEST}/test_document.py::test_a_hostile_file_is_refused_within_two_seconds",
    ),
    "T08": _case(
        "a catalog that names files of yours",
        unless="it may; open only catalogs whose authors may read what you may",
    ),
    "T09": _case(
        "a catalog that sends your secrets elsewhere",
        f"{_MANIFEST}/test_values.py::test_a_variable_that_sounds_like_a_secret_is_never_filled_in",
    ),
    "T10": _case(
        "a redirect to a place that others cannot reach",
        f"{_STORES}::test_a_redirect_takes_no_credentials_to_another_server",
        unless="endpoints are trusted with where they redirect to",
    ),
    "T11": _case(
        "secrets in addresses, messages and records",
        f"{_SECRETS}::test_a_store_that_behaves_in_any_way_brings_no_secret_to_light",
        f"{_SECRETS}::test_an_address_with_a_password_or_a_signature_brings_neither_to_light",
    ),
    "T12": _case(
        "credentials that go to the wrong server",
        f"{_STORES}::test_a_redirect_takes_no_credentials_to_another_server",
        f"{_STORES}::test_an_anonymous_catalog_sends_no_credentials",
    ),
    "T13": _case(
        "a copy of one store served for another's",
        f"{_ON_S3}::test_two_servers_with_the_same_bucket_and_key_never_mix",
        f"{_ON_S3}::test_two_buckets_with_the_same_key_never_mix",
    ),
    "T14": _case(
        "a copy that is served to who may not read it any more",
        "tests/unit/application/test_unreachable.py::test_what_the_store_says_is_never_hidden",
    ),
    "T15": _case("archives that write elsewhere", unless="nothing is unpacked"),
    "T16": _case(
        "an object that claims to have no end",
        f"{_FAULTS}/test_network.py::test_t16_a_server_that_claims_an_object_without_end",
    ),
    "T17": _case(
        "names that move a terminal's cursor",
        "tests/unit/cli/test_output.py::test_nothing_in_a_cell_can_break_a_row_or_move_the_terminal",
        "tests/unit/cli/test_text.py::test_escaped_text_has_no_control_or_formatting_character",
    ),
    "T18": _case(
        "a library that this one leans on",
        f"{_FAULTS}/test_threats.py::test_t18_what_is_native_has_a_floor",
    ),
    "T19": _case(
        "somebody who holds a lock for ever",
        f"{_FAULTS}/test_processes.py::test_f36_one_that_is_stopped_with_the_lock_holds_others_off_for_so_long",
    ),
    "T20": _case(
        "hostile requests to a registry",
        f"{_REGISTRY}/test_object_access.py::test_callers_are_answered_what_they_may_have",
        f"{_REGISTRY}/test_object_access.py::test_what_is_there_is_refused_as_what_is_not",
        f"{_REGISTRY}/test_object_access.py::test_without_a_valid_key_there_is_nothing",
        f"{_REGISTRY}/test_described.py::test_every_answer_is_one_that_is_documented",
        f"{_REGISTRY}/test_hostile.py::test_hostile_parameters",
        f"{_REGISTRY}/test_hostile.py::test_hostile_members_of_a_body",
        f"{_REGISTRY}/test_hostile.py::test_hostile_bodies",
        f"{_REGISTRY}/test_hostile_clients.py::test_slow_ones_keep_nobody_waiting",
        f"{_REGISTRY}/test_hostile_objects.py::test_columns_of_any_name",
    ),
    "T21": _case(
        "names of datasets that are told to somebody",
        f"{_STORES}::test_no_connection_is_opened_offline",
        unless="nothing is logged or reported to anybody",
    ),
    "T22": _case(
        "files that others may read on their way in",
        f"{_OWNERS}::test_t22_what_comes_is_the_users_own_whatever_the_umask",
        f"{_OWNERS}::test_t22_a_folder_of_an_older_release_is_closed",
        f"{_OWNERS}::test_t22_what_comes_is_the_users_own_below_a_folder_of_a_group",
        f"{_OWNERS}::test_t22_a_folder_that_a_group_may_read_by_accident_is_closed",
        f"{_OWNERS}::test_t22_others_read_what_comes_only_where_it_is_shared",
        f"{_FAULTS}/test_processes.py::test_t22_what_comes_is_as_private_as_the_umask_says",
    ),
}


def table() -> str:
    """The cases as the documentation shows them."""
    rows = ["| | what goes wrong | what tries it |", "|---|---|---|"]
    for name, case in CASES.items():
        tests = ", ".join(f"`{test}`" for test in case.tests)
        kept = "; ".join(part for part in (tests, case.unless) if part)
        rows.append(f"| {name} | {case.title} | {kept} |")
    return "\n".join(rows) + "\n"
