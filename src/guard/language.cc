#include "guard/language.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace ingot {
namespace {

// The commonest small words; one that several languages share counts for each.
struct Small {
  std::string_view code, words;
};
constexpr Small kSmall[] = {
    {"en", "the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now my made over did down only way find use may long little very after called just where most know get through back much before also around another came come work three must because does part even place well such here take why help put different away again off went old number great tell men say small every found still between name should home big give air line set own under read last never us left end along while might next sound below saw something thought both few those always show large often together asked house don't going want please i me you"},
    {"de", "der die das und in zu den nicht von sie ist des sich mit dem dass er es ein ich auf so eine auch als an nach wie im für man aber aus durch wenn nur war noch werden bei hat wir was wird sein einen welche sind oder zur um haben einer mir über ihm diese einem ihr uns da zum kann doch vor dieser mich ihn du hatte seine mehr am denn nun unter sehr selbst schon hier bis habe ihre dann ihnen seiner alle wieder meine gegen vom ganz wo muss ohne eines können ja wurde jetzt immer seinen wohl dieses ihren würde diesen sondern weil welcher nichts diesem alles waren will viel mein also soll worden beim warum bitte gibt keine kein"},
    {"fr", "de la le et les des en un du une que est pour qui dans a par plus pas au sur ne se le ce il sont avec son ou mais comme on elle nous vous je être avoir cette aux ses leur tout fait bien aussi peut même sans deux où très encore entre après était c'est d'un d'une qu'il n'est l'on dont si ces sa été quand votre notre mon ma mes cela comment pourquoi quel quelle rien faire sous moins tous toutes ainsi donc avant contre depuis chez"},
    {"es", "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo nos durante todos uno les ni contra otros ese eso ante ellos e esto mí antes algunos qué unos yo otro otras otra él tanto esa estos mucho quienes nada muchos cual poco ella estar estas algunas algo nosotros mi mis tú te ti tu es son fue está cómo cuál puedo tiene ser"},
    {"it", "di e il la che è per un in a non sono si da con una dei le del della al come i più lo nel anche alla ma gli ha o questo se dal sua suo loro questa ci delle quando nella degli era molto essere stato dalla mi fa ho quello perché cosa solo tutti tra sul tutto dove chi prima senza ancora hanno io lui lei noi voi mio tua posso qual quale sulla alle ai dello"},
    {"pt", "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos ter seus quem nas me esse eles estão você tinha foram essa num nem suas meu às minha têm numa pelos elas havia seja qual será nós tenho lhe deles essas esses pode qual isto aquilo são"},
    {"nl", "de het een en van ik te dat die in is niet zijn op aan met als voor had er maar om hem dan zou of wat mijn men dit zo door over ze zich bij ook tot je mij uit der daar haar naar heb hoe heeft hebben deze u want nog zal me zij nu ge geen omdat iets worden toch al waren veel meer doen toen moet ben zonder kan hun dus alles onder ja eens hier wie werd altijd wordt wezen kunnen ons zelf tegen na reeds wil kon niets uw iemand geweest andere waarom waar"},
    {"sv", "och det att i en jag hon som han på den med var sig för så till är men ett om hade de av icke mig du henne då sin nu har inte hans honom skulle hennes där min man ej vid kunde något från ut när efter upp vi dem vara vad över än dig kan sina här ha mot alla under någon eller allt mycket sedan ju denna själv detta åt utan varit hur ingen mitt ni bli blev oss din dessa några deras"},
    {"da", "og i jeg det at en den til er som på de med han af for ikke der var mig sig men et har om vi min havde ham hun nu over da fra du ud sin dem os op man hans hvor eller hvad skal selv her alle vil blev kunne ind når være dog noget ville jo deres efter ned skulle denne end dette mit også under have dig anden hende mine alt meget sit sine vor mod disse hvis din nogle hos blive mange ad bliver hendes været jer sådan"},
    {"pl", "i w na z do nie się że to jest o jak ale po co tak za od przez przy dla ja już czy tylko być ten jego jej ich może są był była było być który która które tego tym także lub oraz nawet gdy pod bez sobie mnie ciebie więc jako przed bardzo mi ma gdzie kiedy dlaczego jeszcze tej te można wszystko proszę"},
    {"cs", "a se v na je že o s z do i to jak ale za by co tak po od jsem být které který která jeho pro při jako nebo než už ve ze si jen jsou bylo byl byla tím jsme jste jejich když mezi kde pod před také není aby podle více má může proč kdy"},
    {"fi", "ja on ei se että oli hän en mutta niin kuin ovat joka myös mitä tai kun ole sen olen hänen jos minä mukaan sitä vain voi jotka siitä olla tämä nyt sekä kaikki tässä vielä kanssa ne siinä sinä minun miksi missä ollut"},
    {"tr", "bir ve bu da de için ile ben o ne gibi daha çok en mi mı var ama olan olarak sonra kadar değil her ki ya şey nasıl neden ise veya hiç beni bana sen biz siz onlar bunu şu kim nerede olduğu üzerinde"},
    {"ro", "de și în a la cu că nu pe o un să este din care se mai pentru ce sunt ca au fost fi dar sau prin după când lui ei dacă unde cum tot foarte nici acest această sa său le lor era avea toate doar"},
    {"hu", "a az és hogy nem is egy van ez meg de csak már mint volt azt el ha ki még azonban vagy ezt mert lesz itt kell minden amely olyan lehet után neki sem való ami aki miért hol mikor én te mi ti ők"},
    {"id", "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena bisa ada mereka lebih kata tahun sudah atau saat oleh menjadi orang telah adalah seperti sebagai kami kita kamu apa bagaimana mengapa"},
    {"vi", "của và là có không được cho một các người trong này với những đã để khi về như ra nhiều cũng từ đó thì lại tôi bạn nhưng sẽ nào làm phải"},
    {"ru", "и в не на я быть он с что а по это она этот к но они мы весь который из у то за свой ее так же от для вы бы как ты до о все его при если или уже есть был была было были только меня мне нет когда где почему чтобы их вот"},
    {"uk", "і в не на я бути він з що а по це вона цей до але вони ми який у та за свій її так же від для ви б як ти про все його при якщо або вже є був була було були тільки мене мені немає коли де чому щоб їх"},
    {"bg", "и в не на аз съм той с че а по това тя този към но те ние който от за свой така си е да се са като или ако вече беше само ми ме няма кога къде защо"},
};

constexpr std::string_view kKnown[] = {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "pl", "cs", "fi", "tr", "ro", "hu", "id", "vi", "ru", "uk", "bg", "el", "he", "ar", "fa", "hi", "th", "ko", "ja", "zh"};

enum Script { kLatin, kCyrillic, kGreek, kHebrew, kArabic, kDevanagari, kThai, kHangul, kKana, kHan, kOther, kScripts };

Script script_of(int32_t c) {
  if (c < 0x250 || (c >= 0x1e00 && c < 0x1f00)) return kLatin;
  if (c >= 0x400 && c < 0x530) return kCyrillic;
  if ((c >= 0x370 && c < 0x400) || (c >= 0x1f00 && c < 0x2000)) return kGreek;
  if (c >= 0x590 && c < 0x600) return kHebrew;
  if ((c >= 0x600 && c < 0x780) || (c >= 0xfb50 && c < 0xfe00)) return kArabic;
  if (c >= 0x900 && c < 0x980) return kDevanagari;
  if (c >= 0xe00 && c < 0xe80) return kThai;
  if ((c >= 0xac00 && c < 0xd7b0) || (c >= 0x1100 && c < 0x1200)) return kHangul;
  if (c >= 0x3040 && c < 0x3100) return kKana;
  if ((c >= 0x3400 && c < 0xa000) || (c >= 0x20000 && c < 0x30000)) return kHan;
  return kOther;
}

// word -> bit for each entry of kSmall
const std::unordered_map<std::string, uint32_t>& small_words() {
  static const auto table = [] {
    std::unordered_map<std::string, uint32_t> map;
    for (size_t l = 0; l < std::size(kSmall); ++l) {
      std::string_view words = kSmall[l].words;
      while (!words.empty()) {
        const size_t end = std::min(words.find(' '), words.size());
        map[std::string(words.substr(0, end))] |= 1u << l;
        words.remove_prefix(std::min(end + 1, words.size()));
      }
    }
    return map;
  }();
  return table;
}

}  // namespace

std::span<const std::string_view> known_languages() { return kKnown; }

Language language_of(std::string_view text) {
  constexpr size_t kBytes = 8192, kFewestLetters = 12;
  text = text.substr(0, kBytes);
  std::array<size_t, kScripts> letters{};
  bool persian = false;
  std::vector<std::string> words(1);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = 0;
    const auto used = utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(std::min<size_t>(4, text.size() - at)), &c);
    at += used > 0 ? static_cast<size_t>(used) : 1;
    const auto category = used > 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;
    const bool is_letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    if (is_letter || category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC) {
      if (is_letter) ++letters[script_of(c)];
      persian |= c == 0x67e || c == 0x686 || c == 0x698 || c == 0x6af;
      utf8proc_uint8_t encoded[4];
      words.back().append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(utf8proc_encode_char(utf8proc_tolower(c), encoded)));
    } else if (c == '\'' && !words.back().empty()) {
      words.back() += '\'';
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  size_t total = 0;
  for (size_t count : letters) total += count;
  // An East Asian letter says as much as several Latin ones.
  if (total + 3 * (letters[kHan] + letters[kKana] + letters[kHangul]) < kFewestLetters) return {};
  const auto share = [&](Script s) { return static_cast<double>(letters[s]) / static_cast<double>(total); };
  if (share(kKana) > 0.1 && share(kKana) + share(kHan) > 0.5) return {"ja", share(kKana) + share(kHan)};
  static constexpr struct { Script script; const char* code; } kAlone[] = {{kHan, "zh"}, {kHangul, "ko"}, {kThai, "th"}, {kDevanagari, "hi"}, {kHebrew, "he"}, {kGreek, "el"}};
  for (const auto& one : kAlone)
    if (share(one.script) > 0.5) return {one.code, share(one.script)};
  if (share(kArabic) > 0.5) return {persian ? "fa" : "ar", share(kArabic)};
  if (share(kLatin) + share(kCyrillic) < 0.7 || words.size() < 4) return {};
  std::array<double, std::size(kSmall)> hits{};
  size_t any = 0;
  for (const std::string& word : words) {
    const auto found = small_words().find(word);
    if (found == small_words().end()) continue;
    ++any;
    const int sharing = __builtin_popcount(found->second);
    for (size_t l = 0; l < hits.size(); ++l)
      if (found->second >> l & 1) hits[l] += 1.0 / sharing;
  }
  size_t best = 0;
  double sum = 0, second = 0;
  for (size_t l = 0; l < hits.size(); ++l) {
    sum += hits[l];
    if (hits[l] > hits[best]) best = l;
  }
  for (size_t l = 0; l < hits.size(); ++l)
    if (l != best) second = std::max(second, hits[l]);
  // Lists of names, code and tables have few small words: they have no language.
  if (any < 3 || static_cast<double>(any) < 0.12 * static_cast<double>(words.size()) || hits[best] < 1.25 * second) return {};
  return {std::string(kSmall[best].code), hits[best] / sum};
}

}  // namespace ingot
